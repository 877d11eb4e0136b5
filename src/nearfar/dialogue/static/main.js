"use strict";
// Connects the parts of the page: a change of the model is drawn, listed and highlighted.
(() => {
  const model = Model.create(JSON.parse(Dom.byId("flow").textContent));
  const { state } = model;
  const svg = Dom.byId("graph");
  const narrow = matchMedia("(max-width: 760px)");

  const page = {
    // The graph has changed.
    update() {
      model.update();
      drawing.paint();
      Dom.byId("status").textContent = model.status();
      Dom.byId("edges-value").textContent = Model.percent(state.rules.edges);
      Dom.byId("nodes-value").textContent = Model.percent(state.rules.nodes);
      panels.actions();
      panels.dialogue();
      panels.table();
      page.emphasise();
      camera.open();
    },

    emphasise() {
      drawing.emphasise();
      panels.mark();
      keyboard.rove();
    },

    searched() {
      panels.actions();
      page.emphasise();
    },

    select(node, { centre = false } = {}) {
      state.selected = node;
      panels.details();
      page.emphasise();
      if (centre && node !== null && model.graph.nodes.has(node)) camera.centreOn(node);
    },

    follow(index) {
      state.followed = index;
      state.selected = null;
      Dom.byId("dialogue").value = index === null ? "" : String(index);
      panels.details();
      panels.dialogue();
      page.emphasise();
      const walk = model.walk();
      if (walk !== null && walk.length > 0) camera.follow(walk);
    },
  };

  const camera = Camera.create(svg, Dom.byId("world"), model, narrow);
  const drawing = Drawing.create(model);
  const tips = Tips.create(model);
  const edits = Edits.create(model);
  const panels = Panels.create(model, narrow, page.select, edits.controls);
  Changes.create(model, page.select);
  const keyboard = Keyboard.create(svg, model, camera, drawing, tips, page);
  Pointer.create(svg, model, camera, tips, page);
  Filters.create(svg, model, camera, page);

  page.update();
})();
