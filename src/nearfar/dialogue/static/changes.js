"use strict";
// What changed between two logs: the classes of the drawing, words for tips and labels, and the panel.
const Changes = (() => {
  const MOST_LISTED = 60; // maximum number of rows in the panel; the table has all
  const MARK = { new: "new", gone: "gone", more: "▲", less: "▼", same: "", untested: "" };
  const NAMES = { new: "new", gone: "gone", more: "more", less: "less", same: "no significant difference", untested: "too rare to test" };

  const percent = (value) => (value === null ? "–" : Model.percent(value));
  const signed = (value) => `${value < 0 ? "−" : "+"}${(100 * Math.abs(value)).toFixed(1)}`;

  // A rate of the data: [node, target or null, kind, count before, count after, before, after, low, high, p].
  const rateOf = ([node, target, kind, ...rest]) => {
    const [earlier, later, before, after, low, high, p] = rest;
    return { node, target, kind, counts: [earlier, later], before, after, low, high, p };
  };

  const index = (change) => {
    const rates = change === null ? [] : change.rates.map(rateOf);
    const found = new Map(rates.map((rate) => [rate.target === null ? String(rate.node) : `${rate.node} ${rate.target}`, rate]));
    return {
      rates,
      action: (node) => found.get(String(node)) ?? null,
      step: (a, b) => found.get(`${a} ${b}`) ?? null,
    };
  };

  // The class of a node or edge in the drawing: its kind if it changed.
  const changed = (rate) => rate !== null && rate.kind !== "same" && rate.kind !== "untested";

  const ratio = ({ before, after }) => `${percent(before)} → ${percent(after)}`;
  const inWords = (rate) => {
    const interval = rate.low === null ? "" : `; change ${signed((rate.after ?? 0) - (rate.before ?? 0))} points, 95% interval ${signed(rate.low)} to ${signed(rate.high)}`;
    return `${ratio(rate)} (${NAMES[rate.kind]})${interval}`;
  };

  const create = (model, select) => {
    const { change } = model.data;
    if (change === null) return;
    const label = (rate) => (rate.target === null ? model.labelOf(rate.node) : `${model.nameOf(rate.node)} → ${model.nameOf(rate.target)}`);
    const box = Dom.byId("changes");

    const rows = () => {
      const what = Dom.byId("changes-of").value;
      const found = model.changes.rates.filter((rate) => changed(rate) && (rate.target === null) === (what === "actions"));
      const items = found.slice(0, MOST_LISTED).map((rate) => {
        const node = rate.target === null ? rate.node : Model.isAction(rate.node) ? rate.node : rate.target;
        const button = Dom.html(
          "button",
          { type: "button", class: `row change k-${rate.kind}`, "data-node": node, title: inWords(rate) },
          Dom.html("span", { text: label(rate) }),
          Dom.html("span", { class: "count", text: `${MARK[rate.kind]} ${ratio(rate)}` }),
        );
        button.addEventListener("click", () => select(node, { centre: true }));
        return Dom.html("li", {}, button);
      });
      if (found.length === 0) items.push(Dom.html("li", { class: "count", text: "No significant difference." }));
      if (found.length > MOST_LISTED) items.push(Dom.html("li", { class: "count", text: `… and ${Model.number(found.length - MOST_LISTED)} more in the table` }));
      box.replaceChildren(...items);
    };
    Dom.byId("changes-of").addEventListener("change", rows);

    // Filled when it is opened.
    const table = Dom.byId("change-table");
    table.addEventListener("toggle", () => {
      if (!table.open) return;
      const line = (rate) => {
        const texts = [label(rate), ...rate.counts.map(Model.number), percent(rate.before), percent(rate.after)];
        const interval = rate.low === null ? "–" : `${signed(rate.low)} to ${signed(rate.high)}`;
        const p = rate.p === null ? "–" : rate.p < 0.001 ? "<0.001" : rate.p.toFixed(3);
        const cells = [...texts, interval, p, NAMES[rate.kind]];
        return Dom.html("tr", {}, ...cells.map((text, i) => Dom.html("td", { class: i > 0 && i < 7 ? "n" : "", text })));
      };
      table.querySelector("tbody").replaceChildren(...model.changes.rates.map(line));
    });
    rows();
  };

  return { index, changed, ratio, inWords, create };
})();
