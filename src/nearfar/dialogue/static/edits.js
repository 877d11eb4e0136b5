"use strict";
// Edits of the actions: rename, merge, split. They are kept in a file that the next run takes; the graph stays as it is.
const Edits = (() => {
  const KEY = "nearfar_edits";
  const VERSION = 1;
  const MOST_PARTS = 50;

  // An action in the file: its utterances, because its number may be another one in the next run.
  const reference = (model, node) => ({
    speaker: model.whoOf(node),
    name: model.nameOf(node),
    examples: model.examplesOf(node).map(({ text }) => text),
  });

  const rename = (action, name) => ({ edit: "rename", action, name });
  const merge = (actions, name) => ({ edit: "merge", actions, ...(name === "" ? {} : { name }) });
  const split = (action, parts) => ({ edit: "split", action, parts });
  // The checked utterances become a part of their own; the others are the rest.
  const splitOff = (action, checked) => ({
    edit: "split",
    action,
    groups: [{ examples: checked }, { examples: action.examples.filter((text) => !checked.includes(text)) }],
  });

  const called = ({ speaker, name, examples }) => `${speaker}: “${name ?? examples[0]}”`;
  const inWords = (edit) => {
    if (edit.edit === "rename") return `Rename ${called(edit.action)} to “${edit.name}”`;
    if (edit.edit === "merge") {
      const name = edit.name === undefined ? "" : `, named “${edit.name}”`;
      return `Merge ${edit.actions.map(called).join(" and ")}${name}`;
    }
    if (edit.groups === undefined) return `Split ${called(edit.action)} into ${edit.parts} parts`;
    return `Split ${called(edit.action)}: “${edit.groups[0].examples[0]}” and similar ones apart`;
  };

  const file = (edits) => `${JSON.stringify({ [KEY]: VERSION, edits }, null, 1)}\n`;

  // Returns {controls, list}: the controls of an action in its panel, and the list of all edits.
  const create = (model) => {
    const edits = model.data.edits.map((edit) => ({ edit, applied: true }));
    let saved = true;

    const change = (react) => {
      react();
      saved = false;
      list();
    };
    const add = (edit) => change(() => edits.push({ edit, applied: false }));

    const list = () => {
      const rows = edits.map((each) => {
        const text = inWords(each.edit);
        const undo = Dom.html("button", { type: "button", text: each.applied ? "Remove" : "Undo", "aria-label": `${each.applied ? "Remove" : "Undo"}: ${text}` });
        undo.addEventListener("click", () => {
          change(() => edits.splice(edits.indexOf(each), 1));
          Dom.byId("edits-heading").focus();
        });
        const note = each.applied ? "in this graph" : "from the next run on";
        return Dom.html("li", {}, Dom.html("span", { text }), Dom.html("span", { class: "count", text: note }), undo);
      });
      Dom.byId("edits").replaceChildren(...rows);
      const pending = edits.filter(({ applied }) => !applied).length;
      Dom.byId("edits-count").textContent = `(${Model.number(pending)} pending)`;
      Dom.byId("edits-note").hidden = saved && pending === 0;
      Dom.byId("edits-save").disabled = saved && edits.length === 0;
    };

    const form = (button, react, ...fields) => {
      const box = Dom.html("form", { class: "edit" }, ...fields, Dom.html("button", { text: button }));
      box.addEventListener("submit", (event) => {
        event.preventDefault();
        react(box);
      });
      return box;
    };

    const renaming = (node) => {
      const name = Dom.html("input", { value: model.nameOf(node), required: "", maxlength: "200" });
      return form("Rename", () => {
        if (name.value.trim() !== "") add(rename(reference(model, node), name.value.trim()));
      }, Dom.html("label", {}, "Name ", name));
    };

    const merging = (node) => {
      const others = model.data.nodes
        .map((_, i) => i + Graph.FIRST)
        .filter((other) => other !== node && model.speakerOf(other) === model.speakerOf(node) && model.counted(other) > 0);
      if (others.length === 0) return [];
      const select = Dom.html("select", {}, ...others.map((other) => Dom.html("option", { value: other, text: model.nameOf(other) })));
      const name = Dom.html("input", { placeholder: "of the larger one", maxlength: "200" });
      return [form("Merge", () => {
        add(merge([reference(model, node), reference(model, Number(select.value))], name.value.trim()));
      }, Dom.html("label", {}, "Merge with ", select), Dom.html("label", {}, "Name ", name))];
    };

    const splitting = (node) => {
      if (!model.data.splits) return [];
      const parts = Dom.html("input", { type: "number", min: "2", max: String(MOST_PARTS), value: "2", required: "" });
      const evenly = form("Split", () => add(split(reference(model, node), Number(parts.value))), Dom.html("label", {}, "Split into parts ", parts));
      const action = reference(model, node);
      if (action.examples.length < 2) return [evenly];
      const boxes = action.examples.map((text) => Dom.html("input", { type: "checkbox", value: text }));
      const problem = Dom.html("p", { role: "status" });
      const apart = form("Split off", () => {
        const checked = boxes.filter((box) => box.checked).map((box) => box.value);
        const some = checked.length > 0 && checked.length < boxes.length;
        problem.textContent = some ? "" : "Check some of the utterances, but not all.";
        if (some) add(splitOff(action, checked));
      }, ...boxes.map((box) => Dom.html("label", { class: "check" }, box, box.value)), problem);
      return [evenly, Dom.html("details", {}, Dom.html("summary", { text: "Split off some utterances" }), apart)];
    };

    const controls = (node) => {
      if (model.counted(node) === 0) return [];
      const box = Dom.html("div", { class: "edit-box" }, renaming(node), ...merging(node), ...splitting(node));
      return [Dom.html("details", { class: "editing" }, Dom.html("summary", { text: "Edit this action" }), box)];
    };

    Dom.byId("edits-save").addEventListener("click", () => {
      Exports.save("edits.json", new Blob([file(edits.map(({ edit }) => edit))], { type: "application/json" }));
      saved = true;
    });
    window.addEventListener("beforeunload", (event) => {
      if (!saved) event.preventDefault();
    });
    list();
    return { controls };
  };

  return { MOST_PARTS, rename, merge, split, splitOff, inWords, file, create };
})();
