"use strict";
// The text of whatever mark lies under the pointer. Texts are set as text, never as HTML.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("aria-hidden", "true");
  tip.hidden = true;
  document.body.append(tip);
  let current = null;

  const hide = () => {
    current = null;
    tip.hidden = true;
  };

  const fill = (text) => {
    tip.replaceChildren(
      ...text.split("\n").map((line, index) => {
        const row = document.createElement("div");
        row.className = index === 0 ? "head" : "row";
        for (const part of line.split("\t")) {
          const cell = document.createElement("span");
          cell.textContent = part;
          row.append(cell);
        }
        return row;
      }),
    );
  };

  const show = (event) => {
    const mark = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    if (mark === null) {
      hide();
      return;
    }
    if (mark !== current) {
      current = mark;
      fill(mark.getAttribute("data-tip"));
      tip.hidden = false;
    }
    const gap = 14;
    const wide = document.documentElement.clientWidth;
    const fitsRight = event.clientX + gap + tip.offsetWidth <= wide - 4;
    const left = fitsRight ? event.clientX + gap : event.clientX - gap - tip.offsetWidth;
    const above = event.clientY - gap - tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(left, wide - tip.offsetWidth - 4))}px`;
    tip.style.top = `${above >= 4 ? above : event.clientY + gap}px`;
  };

  document.addEventListener("pointermove", show, { passive: true });
  document.addEventListener("pointerdown", show, { passive: true });
  document.addEventListener("pointerleave", hide);
  document.addEventListener("scroll", hide, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
