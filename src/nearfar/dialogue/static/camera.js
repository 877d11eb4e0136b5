"use strict";
// The part of the graph that the window shows: position, zoom, and the whole graph for print.
const Camera = (() => {
  const PAD = 44; // free pixels around the graph
  const [SMALLEST, LARGEST] = [0.05, 4];

  // The box around some nodes, or, without `nodes`, around the whole graph with its edges.
  const bounds = (graph, size, nodes = null) => {
    const places = nodes === null ? [...graph.places.values()] : nodes.map((node) => graph.places.get(node));
    if (places.length === 0) return { x: 0, y: 0, width: 1, height: 1 };
    const box = { x: Infinity, y: Infinity, right: -Infinity, bottom: -Infinity };
    const include = (x, y) => {
      box.x = Math.min(box.x, x);
      box.y = Math.min(box.y, y);
      box.right = Math.max(box.right, x);
      box.bottom = Math.max(box.bottom, y);
    };
    for (const { x, y } of places) {
      include(x - size.width / 2, y - size.height / 2);
      include(x + size.width / 2, y + size.height / 2);
    }
    if (nodes === null) for (const way of graph.ways.values()) for (const { x, y } of way) include(x, y);
    return { x: box.x - PAD, y: box.y - PAD, width: box.right - box.x + 2 * PAD, height: box.bottom - box.y + 2 * PAD };
  };

  // Position and scale that show a box in a window: all of it, or, if the scale would be less than `least`, the part
  // around `anchor`.
  const fitted = (box, window, least, anchor) => {
    const scale = Math.max(least, Math.min(window.width / box.width, window.height / box.height, 1.15));
    const place = (size, begin, length, at) => {
      if (length * scale <= size) return (size - length * scale) / 2 - begin * scale;
      return Math.min(-begin * scale, Math.max(size - (begin + length) * scale, size / 2 - at * scale));
    };
    return { x: place(window.width, box.x, box.width, anchor.x), y: place(window.height, box.y, box.height, anchor.y), scale };
  };

  const create = (svg, world, model, narrow) => {
    const view = { x: 0, y: 0, scale: 1 };
    const move = () => world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
    const whole = () => bounds(model.graph, Model.NODE);

    const fit = (least, nodes = null) => {
      const box = bounds(model.graph, Model.NODE, nodes);
      const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      const anchor = model.graph.places.get(nodes === null ? Graph.START : nodes[0]) ?? middle;
      Object.assign(view, fitted(box, svg.getBoundingClientRect(), least, anchor));
      move();
    };
    // Text stays readable, in a small window with less context.
    const open = () => fit(narrow.matches ? 0.66 : 0.74);
    const follow = (nodes) => fit(narrow.matches ? 0.3 : 0.4, nodes);

    const centreOn = (node) => {
      const { x, y } = model.graph.places.get(node);
      const { width, height } = svg.getBoundingClientRect();
      view.scale = Math.max(view.scale, 0.7);
      view.x = width / 2 - x * view.scale;
      view.y = height / 2 - y * view.scale;
      move();
    };

    const zoom = (factor, x, y) => {
      const { width, height } = svg.getBoundingClientRect();
      const [cx, cy] = [x ?? width / 2, y ?? height / 2];
      const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
      view.x = cx - ((cx - view.x) * scale) / view.scale;
      view.y = cy - ((cy - view.y) * scale) / view.scale;
      view.scale = scale;
      move();
    };

    const pan = (dx, dy) => {
      view.x += dx;
      view.y += dy;
      move();
    };

    // Whether a node is well inside the window.
    const sees = (node) => {
      const { x, y } = model.graph.places.get(node);
      const { width, height } = svg.getBoundingClientRect();
      const [px, py] = [x * view.scale + view.x, y * view.scale + view.y];
      return px >= 60 && py >= 50 && px <= width - 60 && py <= height - 70;
    };

    addEventListener("beforeprint", () => {
      const { x, y, width, height } = whole();
      svg.setAttribute("viewBox", [x, y, width, height].join(" "));
      world.removeAttribute("transform");
    });
    addEventListener("afterprint", () => {
      svg.removeAttribute("viewBox");
      move();
    });

    return { whole, fit, open, follow, centreOn, zoom, pan, sees };
  };

  return { bounds, fitted, create };
})();
