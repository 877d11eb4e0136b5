import assert from "node:assert/strict";
import test from "node:test";
import { dataOf, parts } from "./load.mjs";

const { Camera, Drawing, Exports, Filters, Keyboard, Model, Tips } = parts;
const measure = (text) => [...text].length;

test("text is broken between words and truncated with an ellipsis", () => {
  const wrapped = (text, width, lines) => Drawing.wrapped(text, width, lines, measure);
  assert.deepEqual(wrapped("short", 10, 2), ["short"]);
  assert.deepEqual(wrapped("one two three", 8, 2), ["one two", "three"]);
  assert.deepEqual(wrapped("aaa bbbb", 6, 2), ["aaa", "bbbb"]);
  assert.deepEqual(wrapped("one two three four five", 8, 2), ["one two", "three f…"]);
  assert.deepEqual(wrapped("unbreakable", 5, 2), ["unbre", "akab…"]);
  assert.deepEqual(wrapped("😀😀😀😀", 2, 1), ["😀…"]);
  assert.deepEqual(wrapped("", 5, 2), []);
});

test("sliders have finer steps for small values", () => {
  assert.equal(Filters.fromSlider(100), 1);
  assert.equal(Filters.fromSlider(10), 0.01);
  for (const value of [0, 0.023, 0.1, 0.5]) assert.equal(Filters.fromSlider(Filters.toSlider(value)), value);
});

test("previous and next dialogue go in a circle", () => {
  assert.equal(Filters.neighbour(null, 1, 5), 0);
  assert.equal(Filters.neighbour(null, -1, 5), 4);
  assert.equal(Filters.neighbour(4, 1, 5), 0);
  assert.equal(Filters.neighbour(0, -1, 5), 4);
  assert.equal(Filters.neighbour(2, 1, 5), 3);
});

test("arrow keys go to the nearest node ahead", () => {
  const places = new Map([[0, { x: 0, y: 0 }], [2, { x: 10, y: 100 }], [3, { x: 200, y: 90 }], [4, { x: 0, y: 300 }]]);
  assert.equal(Keyboard.towards(places, 0, 0, 1), 2);
  assert.equal(Keyboard.towards(places, 0, 1, 0), 2);
  assert.equal(Keyboard.towards(places, 3, -1, 0), 2);
  assert.equal(Keyboard.towards(places, 4, 0, -1), 2);
  assert.equal(Keyboard.towards(places, 0, 0, -1), null);
});

test("the box of the graph includes nodes and edges", () => {
  const edge = {};
  const graph = { places: new Map([[0, { x: 0, y: 0 }], [2, { x: 0, y: 100 }]]), ways: new Map([[edge, [{ x: 0, y: 0 }, { x: 500, y: 50 }]]]) };
  const size = { width: 200, height: 60 };
  assert.deepEqual(Camera.bounds(graph, size), { x: -144, y: -74, width: 688, height: 248 });
  assert.deepEqual(Camera.bounds(graph, size, [2]), { x: -144, y: 26, width: 288, height: 148 });
  assert.deepEqual(Camera.bounds({ places: new Map(), ways: new Map() }, size), { x: 0, y: 0, width: 1, height: 1 });
});

test("a small graph is centred, a large one is shown from its anchor and never beyond its box", () => {
  const window = { width: 100, height: 100 };
  assert.deepEqual(Camera.fitted({ x: 0, y: 0, width: 200, height: 100 }, window, 0, { x: 0, y: 0 }), { x: 0, y: 25, scale: 0.5 });
  const large = { x: 100, y: 100, width: 1000, height: 1000 };
  assert.deepEqual(Camera.fitted(large, window, 1, { x: 600, y: 110 }), { x: -550, y: -100, scale: 1 });
  assert.deepEqual(Camera.fitted(large, window, 1, { x: 1090, y: 1090 }), { x: -1000, y: -1000, scale: 1 });
});

test("tips name the edge, or the speaker and at most five utterances", () => {
  const data = dataOf("three dialogues");
  data.nodes[0].examples = Array.from({ length: 9 }, (_, i) => [i % 3, 1]);
  const model = Model.create(data);
  model.update();
  const edge = model.graph.edges.find(({ a, b }) => a === 2 && b === 3);
  assert.deepEqual(Tips.linesOf(model, { edge }), ["name 0 → name 1", "2 times, 67% of the steps from there"]);
  const lines = Tips.linesOf(model, { node: 2 });
  assert.equal(lines.length, 6);
  assert.equal(lines[0], "user, 3 times");
  assert.equal(Tips.linesOf(model, { node: 0 }), null);
});

test("a CSV cell is quoted where needed and is never a formula", () => {
  assert.equal(Exports.csv([["=1+1", "@x", '-a,"b"', -1]]), '\'=1+1,\'@x,"\'-a,""b""",-1\r\n');
});
