import assert from "node:assert/strict";
import test from "node:test";
import { cases, parts } from "./load.mjs";

const { Graph, Layout } = parts;
const SIZE = { width: 204, height: 62 };
const graphs = cases
  .map(({ name, steps, rules: [weigh, edges, nodes] }) => ({ name, graph: Graph.prune(steps, { weigh, edges, nodes }) }))
  .filter(({ graph }) => graph.nodes.size > 0);
const chain = (...counts) => ({
  nodes: new Map([[0, 1], [1, 1], ...counts.slice(1).map((_, i) => [i + 2, 9])]),
  edges: counts.map((count, i) => ({ a: i === 0 ? 0 : i + 1, b: i === counts.length - 1 ? 1 : i + 2, count, weight: 1 })),
});

for (const { name, graph } of graphs) {
  for (const sideways of [false, true]) {
    test(`nodes do not overlap and edges run between their nodes, ${sideways ? "sideways" : "downwards"}: ${name}`, () => {
      const { places, ways } = Layout.lay(graph, SIZE, sideways);
      assert.deepEqual([...places.keys()], [...graph.nodes.keys()]);
      const centres = [...places.values()];
      centres.forEach((p, i) => centres.slice(i + 1).forEach((q) => {
        assert.ok(Math.abs(p.x - q.x) >= SIZE.width || Math.abs(p.y - q.y) >= SIZE.height);
      }));
      for (const edge of graph.edges) {
        const way = ways.get(edge);
        assert.deepEqual(way[0], places.get(edge.a));
        assert.deepEqual(way.at(-1), places.get(edge.b));
      }
      assert.ok([...places.values(), ...[...ways.values()].flat()].every(({ x, y }) => Number.isFinite(x + y)));
    });
  }

  test(`the start is in the first layer and the end in the last: ${name}`, () => {
    const layers = Layout.layers([...graph.nodes.keys()], graph.edges);
    const inner = [...layers].filter(([node]) => node >= Graph.FIRST).map(([, layer]) => layer);
    assert.equal(layers.get(Graph.START), 0);
    assert.equal(layers.get(Graph.END), Math.max(...inner) + 1);
    assert.ok(Math.min(...inner) >= 1);
  });
}

test("a chain is one column from start to end", () => {
  const graph = chain(5, 5, 5, 5);
  const { places, crossings } = Layout.lay(graph, SIZE, false);
  assert.equal(crossings, 0);
  const order = [0, 2, 3, 4, 1].map((node) => places.get(node));
  assert.ok(order.every(({ x }) => Math.abs(x - order[0].x) < 1e-9));
  order.slice(1).forEach(({ y }, i) => assert.ok(y > order[i].y));
});

test("the strongest step decides the layers of a cycle", () => {
  const { nodes, edges } = chain(9, 9, 9);
  const back = { a: 3, b: 2, count: 2, weight: 0.1 };
  const layers = Layout.layers([...nodes.keys()], [...edges, back]);
  assert.ok(layers.get(2) < layers.get(3));
  const turned = Layout.layers([...nodes.keys()], [...edges.map((edge) => ({ ...edge, count: 1 })), { ...back, count: 9 }]);
  assert.ok(turned.get(3) < turned.get(2));
});

test("crossings that can be avoided are avoided", () => {
  const ends = [[2, 6], [3, 5], [4, 7]];
  const edges = ends.flatMap(([a, b]) => [{ a: 0, b: a, count: 1, weight: 1 }, { a, b, count: 9, weight: 1 }, { a: b, b: 1, count: 1, weight: 1 }]);
  const nodes = new Map([0, 1, 2, 3, 4, 5, 6, 7].map((node) => [node, 1]));
  assert.equal(Layout.lay({ nodes, edges }, SIZE, false).crossings, 0);
});

test("crossings that cannot be avoided are counted", () => {
  // Every node of one layer leads to every node of the next: K(2, 2) always has one crossing.
  const pairs = [[0, 2], [0, 3], [2, 4], [2, 5], [3, 4], [3, 5], [4, 1], [5, 1]];
  const edges = pairs.map(([a, b]) => ({ a, b, count: 1, weight: 1 }));
  const nodes = new Map([0, 1, 2, 3, 4, 5].map((node) => [node, 1]));
  assert.equal(Layout.lay({ nodes, edges }, SIZE, false).crossings, 1);
});

test("a long edge has a point in each layer that it crosses, unless there are too many edges", () => {
  const { nodes, edges } = chain(5, 5, 5);
  const long = { a: 0, b: 1, count: 1, weight: 1 };
  assert.equal(Layout.lay({ nodes, edges: [...edges, long] }, SIZE, false).ways.get(long).length, 4);
  const copies = Array.from({ length: 400 }, () => ({ ...long }));
  assert.equal(Layout.lay({ nodes, edges: [...edges, ...copies] }, SIZE, false).ways.get(copies[0]).length, 2);
});

test("an empty graph has an empty layout", () => {
  const { places, ways } = Layout.lay({ nodes: new Map(), edges: [] }, SIZE, false);
  assert.equal(places.size + ways.size, 0);
});
