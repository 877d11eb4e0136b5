"use strict";
// The panels beside the graph: details of a node, the followed dialogue, all actions, and the table of steps.
const Panels = (() => {
  const MOST_LISTED = 400; // maximum number of rows in the table
  const SOURCES = {
    utterance: "a typical utterance",
    labels: "from the labels of the encoder",
    slots: "from its slots",
    model: "by a language model",
  };
  const quote = (text) => `“${text}”`;

  // select: called with the node of a row that is clicked. controls: the controls that edit an action.
  const create = (model, narrow, select, controls) => {
    const { graph, state } = model;

    const row = (node, label, note, extra = "") => {
      const colour = Model.isAction(node) ? `c${model.speakerOf(node)}` : "";
      const button = Dom.html(
        "button",
        { type: "button", class: `row ${colour} ${extra}`, "data-node": node },
        Dom.html("span", { text: label }),
        Dom.html("span", { class: "count", text: note }),
      );
      button.addEventListener("click", () => select(node, { centre: true }));
      return Dom.html("li", {}, button);
    };

    const about = (node) => {
      const { words, slots, source } = model.action(node);
      const parts = [Dom.html("p", { class: "count", text: `${model.whoOf(node)}, ${Model.times(graph.nodes.get(node) ?? 0)}` })];
      const rate = model.changes.action(node);
      if (rate !== null) parts.push(Dom.html("p", { text: `Share of turns: ${Changes.inWords(rate)}` }));
      if (words.length > 0) parts.push(Dom.html("p", { text: `Characteristic words: ${words.join(", ")}` }));
      if (slots.length > 0) {
        const counted = slots.map(([kind, count]) => `${kind} in ${Model.number(count)}`);
        parts.push(Dom.html("p", { text: `Turns with slots: ${counted.join(", ")}` }));
      }
      parts.push(Dom.html("p", { class: "count", text: `Name: ${SOURCES[source]}` }));
      const examples = model.examplesOf(node).map(({ text, count }) =>
        Dom.html("li", {}, quote(text), Dom.html("span", { class: "count", text: count > 1 ? ` ${Model.number(count)}×` : "" })),
      );
      parts.push(Dom.html("h3", { text: "Typical utterances" }), Dom.html("ul", { class: "examples" }, ...examples));
      return parts;
    };

    const links = (title, edges, other) => {
      if (edges.length === 0) return [];
      const rows = edges
        .sort((x, y) => y.count - x.count)
        .map((edge) => row(edge[other], model.nameOf(edge[other]), `${Model.number(edge.count)} · ${Model.percent(edge.share)}`));
      return [Dom.html("h3", { text: title }), Dom.html("ul", {}, ...rows)];
    };

    const details = () => {
      const box = Dom.byId("details");
      const node = state.selected;
      box.hidden = node === null;
      if (node === null) {
        box.replaceChildren();
        return;
      }
      const close = Dom.html("button", { type: "button", text: "×", "aria-label": "Close" });
      close.addEventListener("click", () => select(null));
      box.replaceChildren(
        Dom.html("div", { class: "heading" }, Dom.html("h2", { text: model.nameOf(node) }), close),
        ...(Model.isAction(node) ? [...about(node), ...controls(node)] : []),
        ...links("Next", graph.edges.filter(({ a }) => a === node), "b"),
        ...links("Previous (share of steps from there)", graph.edges.filter(({ b }) => b === node), "a"),
      );
      if (!narrow.matches) box.parentElement.scrollTop = 0;
    };

    const actions = () => {
      const { all, found } = model.search();
      const [shown, whole] = [Model.number(found.length), Model.number(all)];
      Dom.byId("found").textContent = state.query === "" ? `(${shown})` : `(${shown} of ${whole})`;
      const rows = found.map(([node, count]) => row(node, model.nameOf(node), Model.number(count), graph.nodes.has(node) ? "" : "out"));
      Dom.byId("actions").replaceChildren(...rows);
    };

    const dialogue = () => {
      const { turns, more } = model.turns();
      const rows = turns.map(({ node, text, place }) => {
        const item = row(node, text, place === null ? "" : String(place), place === null ? "out" : "");
        const note = place === null ? " · not in the pruned graph" : "";
        item.firstChild.firstChild.prepend(Dom.html("small", { text: `${model.whoOf(node)}${note}` }));
        return item;
      });
      if (more > 0) rows.push(Dom.html("li", { class: "count", text: `… and ${Model.number(more)} more turns` }));
      Dom.byId("turns").replaceChildren(...rows);
    };

    // Filled only while it is open: for a large graph the table takes longer than the graph.
    const table = () => {
      const box = Dom.byId("numbers");
      if (!box.open) return;
      const edges = model.strongest();
      const listed = edges.slice(0, MOST_LISTED);
      const part = listed.length < edges.length ? ` The ${Model.number(listed.length)} most frequent; the CSV export contains all.` : "";
      box.querySelector("caption").textContent = `The ${Model.number(edges.length)} steps of the graph as shown.${part}`;
      const cells = ({ a, b, count, share }) => [
        Dom.html("td", { text: model.labelOf(a) }),
        Dom.html("td", { text: model.labelOf(b) }),
        Dom.html("td", { class: "n", text: Model.number(count) }),
        Dom.html("td", { class: "n", text: Model.percent(share) }),
      ];
      box.querySelector("tbody").replaceChildren(...listed.map((edge) => Dom.html("tr", {}, ...cells(edge))));
    };
    Dom.byId("numbers").addEventListener("toggle", table);

    const mark = () => {
      for (const each of document.querySelectorAll(".side .row")) {
        each.classList.toggle("on", Number(each.dataset.node) === state.selected);
      }
    };

    return { details, actions, dialogue, table, mark };
  };

  return { quote, create };
})();
