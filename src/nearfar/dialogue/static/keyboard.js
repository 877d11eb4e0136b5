"use strict";
// The keyboard: the graph is one tab stop, and arrow keys move between its nodes.
const Keyboard = (() => {
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  // The nearest node in a direction, where distance to the side counts more; null if there is none.
  const towards = (places, from, dx, dy) => {
    const origin = places.get(from);
    let best = null;
    let least = Infinity;
    for (const [node, { x, y }] of places) {
      const ahead = (x - origin.x) * dx + (y - origin.y) * dy;
      const aside = Math.abs((x - origin.x) * dy) + Math.abs((y - origin.y) * dx);
      const far = ahead + 2.2 * aside;
      if (node !== from && ahead > 1 && far < least) [best, least] = [node, far];
    }
    return best;
  };

  // page: {select, follow} of main.js.
  const create = (svg, model, camera, drawing, tips, page) => {
    const { graph, state } = model;
    let focused = null;

    const rove = () => {
      if (!graph.nodes.has(focused)) focused = graph.nodes.has(Graph.START) ? Graph.START : null;
      for (const [node, group] of drawing.elements.nodes) group.setAttribute("tabindex", node === focused ? "0" : "-1");
    };

    const focus = (node) => {
      focused = node;
      rove();
      const group = drawing.elements.nodes.get(node);
      group.focus({ preventScroll: true });
      if (!camera.sees(node)) camera.centreOn(node);
      const box = group.getBoundingClientRect();
      tips.show(group, box.right, box.top);
    };

    svg.addEventListener("keydown", (event) => {
      const at = document.activeElement?.node;
      if (event.key in ARROWS) {
        const [dx, dy] = ARROWS[event.key];
        const next = at === undefined ? focused : towards(graph.places, at, dx, dy);
        if (next !== null) focus(next);
      } else if ((event.key === "Enter" || event.key === " ") && at !== undefined) {
        page.select(at === state.selected ? null : at);
      } else if (event.key === "+" || event.key === "=") camera.zoom(1.25);
      else if (event.key === "-") camera.zoom(0.8);
      else if (event.key === "0") camera.fit(0);
      else return;
      event.preventDefault();
    });

    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      tips.hide();
      if (state.selected !== null) page.select(null);
      else if (state.followed !== null) page.follow(null);
    });

    return { rove };
  };

  return { towards, create };
})();
