// The page's scripts as a module would have them: the parts that use no document.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const PARTS = { Graph: "graph", Layout: "layout", Edges: "edges", Exports: "exports", Changes: "changes", Model: "model", Camera: "camera", Drawing: "drawing", Edits: "edits", Panels: "panels", Tips: "tips", Keyboard: "keyboard", Filters: "filters" };
const read = (path) => readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8");
const sources = Object.values(PARTS).map((name) => read(`../../../src/nearfar/dialogue/static/${name}.js`));

export const parts = new Function(`${sources.join("\n")}\nreturn { ${Object.keys(PARTS).join(", ")} };`)();
export const cases = JSON.parse(read("../graphs.json"));

// The fixture as the data of a page.
export const dataOf = (name) => {
  const { steps, rules: [weigh, edges, nodes], speakers } = cases.find((each) => each.name === name);
  return {
    rules: { weigh, edges, nodes },
    speakers: ["user", "agent"],
    nodes: speakers.map((speaker, i) => ({ speaker, name: `name ${i}`, source: "labels", words: [`word${i}`], slots: [["date", i + 1]], examples: [[i, i + 1]] })),
    views: { all: steps },
    edits: [],
    splits: true,
    change: null,
    paths: [["call 1", 2, 2, 0, 4, 2, 3, 1]],
    texts: speakers.map((_, i) => `Text ${i}`),
  };
};
