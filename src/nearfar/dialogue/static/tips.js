"use strict";
// The tip beside the pointer or the focused node.
const Tips = (() => {
  const MOST_EXAMPLES = 5;

  const changeOf = (rate) => (rate === null ? [] : [Changes.inWords(rate)]);

  // The lines of the tip for an edge or a node; null for start and end.
  const linesOf = (model, { edge, node }) => {
    if (edge !== undefined) {
      const { a, b, count, share } = edge;
      const lines = [`${model.nameOf(a)} → ${model.nameOf(b)}`, `${Model.times(count)}, ${Model.percent(share)} of the steps from there`];
      return [...lines, ...changeOf(model.changes.step(a, b))];
    }
    if (!Model.isAction(node)) return null;
    const examples = model.examplesOf(node).slice(0, MOST_EXAMPLES);
    return [`${model.whoOf(node)}, ${Model.times(model.graph.nodes.get(node))}`, ...changeOf(model.changes.action(node)), ...examples.map(({ text }) => Panels.quote(text))];
  };

  const create = (model) => {
    const tip = Dom.html("div", { class: "tip", role: "tooltip" });
    tip.hidden = true;
    document.body.append(tip);
    const hide = () => { tip.hidden = true; };
    const show = (target, x, y) => {
      const lines = linesOf(model, target);
      if (lines === null) {
        hide();
        return;
      }
      tip.replaceChildren(...lines.map((text, i) => Dom.html("div", { class: i === 0 ? "head" : "quote", text })));
      tip.hidden = false;
      const [wide, high] = [document.documentElement.clientWidth, innerHeight];
      const left = x + 14 + tip.offsetWidth <= wide - 4 ? x + 14 : x - 14 - tip.offsetWidth;
      const top = y + 14 + tip.offsetHeight <= high - 4 ? y + 14 : y - 14 - tip.offsetHeight;
      tip.style.left = `${Math.max(4, Math.min(left, wide - tip.offsetWidth - 4))}px`;
      tip.style.top = `${Math.max(4, top)}px`;
    };
    return { show, hide };
  };

  return { linesOf, create };
})();
