"use strict";
// The controls: limits, speakers, search, the dialogue to follow, buttons, and exports.
const Filters = (() => {
  // Sliders are quadratic, because most weights are small: 0 to 100 on the slider is 0 to 1.
  const fromSlider = (value) => Math.round(1000 * (value / 100) ** 2) / 1000;
  const toSlider = (value) => 100 * Math.sqrt(value);

  // The dialogue after (by = 1) or before (by = -1) the followed one, in a circle of `count`.
  const neighbour = (followed, by, count) => {
    if (followed === null) return by > 0 ? 0 : count - 1;
    return (followed + by + count) % count;
  };

  // page: {update, searched, emphasise, follow} of main.js.
  const create = (svg, model, camera, page) => {
    const { data, state, graph } = model;
    const on = (id, event, react) => Dom.byId(id).addEventListener(event, react);

    let waiting = 0;
    const soon = () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(page.update);
    };
    for (const name of ["edges", "nodes"]) {
      Dom.byId(name).value = String(toSlider(state.rules[name]));
      on(name, "input", () => {
        state.rules[name] = fromSlider(Number(Dom.byId(name).value));
        soon();
      });
    }
    Dom.byId("weigh").value = state.rules.weigh;
    on("weigh", "change", () => {
      state.rules.weigh = Dom.byId("weigh").value;
      soon();
    });
    on("view", "change", () => {
      state.view = Dom.byId("view").value;
      soon();
    });

    on("search", "input", () => {
      state.query = Dom.byId("search").value.trim();
      page.searched();
    });
    document.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      Dom.byId("actions").querySelector(".row:not(.out)")?.click();
    });

    const toggle = (id, field, react) => on(id, "click", () => {
      state[field] = !state[field];
      Dom.byId(id).setAttribute("aria-pressed", String(state[field]));
      react();
    });
    toggle("turn", "sideways", () => page.update());
    toggle("happy", "happy", () => page.emphasise());
    on("zoom-in", "click", () => camera.zoom(1.25));
    on("zoom-out", "click", () => camera.zoom(0.8));
    on("fit", "click", () => camera.fit(0));

    data.paths.forEach(([name], i) => Dom.byId("dialogue").append(Dom.html("option", { value: i, text: name })));
    on("dialogue", "change", () => {
      const { value } = Dom.byId("dialogue");
      page.follow(value === "" ? null : Number(value));
    });
    on("before", "click", () => page.follow(neighbour(state.followed, -1, data.paths.length)));
    on("next", "click", () => page.follow(neighbour(state.followed, 1, data.paths.length)));

    const image = () => {
      const box = camera.whole();
      return [Exports.image(svg, box, getComputedStyle(document.body).backgroundColor), box];
    };
    const formats = {
      csv: async () => new Blob([Exports.csv(model.rows())], { type: "text/csv" }),
      json: async () => new Blob([model.json()], { type: "application/json" }),
      mmd: async () => new Blob([Exports.mermaid(model.labels(), graph.edges)], { type: "text/plain" }),
      dot: async () => new Blob([Exports.dot(model.labels(), graph.edges)], { type: "text/plain" }),
      svg: async () => new Blob([image()[0]], { type: "image/svg+xml" }),
      png: async () => Exports.png(...image()),
    };
    on("export", "change", async () => {
      const format = Dom.byId("export").value;
      Dom.byId("export").value = "";
      if (format === "") return;
      try {
        Exports.save(`flow.${format}`, await formats[format]());
      } catch (error) {
        Dom.byId("status").textContent = `The export failed: ${error.message}`;
      }
    });
  };

  return { fromSlider, toSlider, neighbour, create };
})();
