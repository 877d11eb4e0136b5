import assert from "node:assert/strict";
import test from "node:test";
import { cases, dataOf, parts } from "./load.mjs";

const { Model } = parts;
const PATH = "the widest path is not the most probable one";
const created = (name = PATH) => {
  const model = Model.create(dataOf(name));
  model.update();
  return model;
};
const on = (items, field) => [...items].filter(([, each]) => each[field]).map(([item]) => item);

test("numbers are written as on the page", () => {
  assert.deepEqual([0, 0.004, 0.0994, 0.0996, 1].map(Model.percent), ["0%", "0.4%", "9.9%", "10%", "100%"]);
  assert.deepEqual([1, 2, 1234].map(Model.times), ["once", "2 times", "1,234 times"]);
});

test("the graph follows the rules", () => {
  const model = created();
  assert.deepEqual(model.graph.path, [0, 2, 4, 5, 1]);
  assert.match(model.status(), /^4 of 4 actions, 7 of 7 steps$/);
  model.state.rules.edges = 0.45;
  model.update();
  assert.deepEqual([...model.graph.nodes.keys()], [...model.graph.places.keys()]);
  assert.ok(model.graph.edges.length < 7);
  model.state.rules.edges = 1;
  model.state.rules.nodes = 1;
  model.update();
  assert.doesNotMatch(model.status(), / of /);
});

test("a selected node that is pruned is no longer selected", () => {
  const model = created();
  model.state.selected = 4;
  model.update();
  assert.equal(model.state.selected, 4);
  model.state.rules.nodes = 0.3;
  model.update();
  assert.equal(model.state.selected, null);
  assert.ok(!model.graph.nodes.has(4));
});

test("search looks at names, words and examples, without regard to case", () => {
  const model = created();
  const found = (query) => {
    model.state.query = query;
    return model.search().found.map(([node]) => node);
  };
  assert.deepEqual(found("NAME 1"), [3]);
  assert.deepEqual(found("word2"), [4]);
  assert.deepEqual(found("text 3"), [5]);
  assert.deepEqual(found("missing"), []);
  // Most frequent first.
  assert.deepEqual(model.search().all, 4);
  assert.deepEqual(found(""), [2, 3, 5, 4]);
});

test("a followed dialogue visits the nodes of the graph, and its other turns have no place", () => {
  const model = created();
  assert.equal(model.walk(), null);
  model.state.followed = 0;
  assert.deepEqual(model.turns(), {
    turns: [{ node: 2, text: "Text 0", place: 1 }, { node: 4, text: "Text 2", place: 2 }, { node: 3, text: "Text 1", place: 3 }],
    more: 2,
  });
  assert.deepEqual(model.walk(), [0, 2, 4, 3, 1]);
  model.state.rules.nodes = 0.3;
  model.update();
  assert.deepEqual(model.turns().turns.map(({ place }) => place), [1, null, 2]);
  assert.deepEqual(model.walk(), [0, 2, 3, 1]);
});

test("a followed dialogue is highlighted, and the main path is not", () => {
  const model = created();
  model.state.followed = 0;
  model.state.query = "name 1";
  const { edges, nodes, walk } = model.emphasis();
  assert.deepEqual(walk, [0, 2, 4, 3, 1]);
  assert.deepEqual(on(edges, "on").map(({ a, b }) => [a, b]), [[0, 2], [2, 4]]);
  assert.equal(on(edges, "happy").length, 0);
  assert.equal(on(edges, "dim").length, 5);
  assert.deepEqual(on(nodes, "dim"), [5]);
  assert.deepEqual(on(nodes, "on"), []);
});

test("a selected node is highlighted with its neighbours", () => {
  const model = created();
  model.state.selected = 4;
  const { edges, nodes } = model.emphasis();
  assert.deepEqual(on(edges, "on").map(({ a, b }) => [a, b]), [[2, 4], [4, 5]]);
  assert.equal(on(edges, "dim").length, 5);
  assert.deepEqual(on(nodes, "near").sort(), [2, 4, 5]);
  assert.deepEqual(on(nodes, "on"), [4]);
  assert.deepEqual(on(nodes, "dim"), [0, 1, 3]);
});

test("results of a search are highlighted, and the main path can be switched off", () => {
  const model = created();
  model.state.query = "name 1";
  let { edges, nodes } = model.emphasis();
  assert.deepEqual(on(nodes, "on"), [3]);
  assert.equal(on(edges, "dim").length, 7);
  assert.deepEqual(on(edges, "happy").map(({ a, b }) => [a, b]), [[0, 2], [2, 4], [4, 5], [5, 1]]);
  model.state.query = "";
  model.state.happy = false;
  ({ edges, nodes } = model.emphasis());
  assert.equal(on(edges, "happy").length + on(edges, "dim").length + on(nodes, "dim").length + on(nodes, "on").length, 0);
});

test("JSON and rows contain the graph as shown", () => {
  const model = created();
  const found = JSON.parse(model.json());
  const { nodes, edges, happy_path: path } = cases.find(({ name }) => name === PATH);
  assert.deepEqual(found.nodes.map(({ id, count }) => [id, count ?? 1]), nodes);
  assert.deepEqual(found.edges.map(({ source, target, count }) => [source, target, count]), edges.map((edge) => edge.slice(0, 3)));
  assert.deepEqual(found.happy_path, path);
  assert.deepEqual(found.nodes[2], {
    id: 2, name: "name 0", named_by: "labels", speaker: "user", count: 15,
    words: ["word0"], slots: { date: 1 }, examples: [{ text: "Text 0", count: 1 }],
  });
  const [head, first, ...others] = model.rows();
  assert.equal(head.length, 4);
  assert.deepEqual(first, ["start", "user: name 0", 10, 1]);
  assert.deepEqual(others.map(([, , count]) => count), [6, 5, 5, 4, 4, 1]);
});
