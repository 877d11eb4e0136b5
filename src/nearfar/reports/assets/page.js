"use strict";
// The tip of the mark under the pointer. Texts are set as text, never as HTML.
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

// All numbers of a figure as a file, with all digits: the table beside it rounds, and omits rows if there are many.
(() => {
  // Texts come from data, and a spreadsheet executes a text that begins like a formula.
  const cell = (value) => {
    if (typeof value !== "string") return value === null ? "" : String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  for (const script of document.querySelectorAll("script.numbers")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "Save all numbers (CSV)";
    button.addEventListener("click", () => {
      const { columns, rows } = JSON.parse(script.textContent);
      const text = [columns, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
      const title = script.closest("figure").querySelector("h3").textContent;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = `${title.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "") || "numbers"}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
    script.before(button);
  }
})();
