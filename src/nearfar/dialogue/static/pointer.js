"use strict";
// Mouse and touch on the graph: drag, zoom, click, and tips.
const Pointer = (() => {
  const CLICK = 5; // maximum distance in pixels that a click moves

  // page: {select, follow} of main.js.
  const create = (svg, model, camera, tips, page) => {
    const { state } = model;
    const fingers = new Map(); // pointer id -> its last event
    let travelled = 0;

    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { left, top } = svg.getBoundingClientRect();
      camera.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), event.clientX - left, event.clientY - top);
    }, { passive: false });

    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      fingers.set(event.pointerId, event);
      travelled = fingers.size > 1 ? Infinity : 0;
    });

    const pinch = (event, before) => {
      const other = [...fingers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      const apart = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
      const { left, top } = svg.getBoundingClientRect();
      const [x, y] = [(event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2];
      camera.zoom(apart(event) / Math.max(1, apart(before)), x - left, y - top);
    };

    svg.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (before === undefined) return;
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      travelled += Math.abs(dx) + Math.abs(dy);
      if (travelled < CLICK) return;
      if (!svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
      svg.classList.add("moving");
      tips.hide();
      if (fingers.size === 2) pinch(event, before);
      const part = fingers.size === 2 ? 0.5 : 1; // each of two fingers moves the graph by half
      camera.pan(dx * part, dy * part);
      fingers.set(event.pointerId, event);
    });

    const lift = (event) => {
      fingers.delete(event.pointerId);
      if (fingers.size === 0) svg.classList.remove("moving");
    };
    svg.addEventListener("pointerup", lift);
    svg.addEventListener("pointercancel", lift);

    svg.addEventListener("click", (event) => {
      if (travelled >= CLICK) return;
      const group = event.target.closest(".node");
      if (group !== null) page.select(group.node === state.selected ? null : group.node);
      else if (event.target.closest(".edge") !== null) return;
      else if (state.followed !== null && state.selected === null) page.follow(null);
      else page.select(null);
    });

    svg.addEventListener("pointermove", (event) => {
      if (svg.classList.contains("moving") || event.pointerType === "touch") return;
      const target = event.target.closest(".node, .edge");
      if (target === null) tips.hide();
      else tips.show(target, event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", tips.hide);
    svg.addEventListener("focusout", tips.hide);
  };

  return { create };
})();
