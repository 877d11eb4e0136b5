import assert from "node:assert/strict";
import test from "node:test";
import { cases, parts } from "./load.mjs";

const { Graph } = parts;
const FAR = 1e-12;

for (const { name, steps, rules, speakers, nodes, edges, happy_path: path } of cases) {
  test(`prune and happyPath agree with graph.py: ${name}`, () => {
    const [weigh, least, rarest] = rules;
    const graph = Graph.prune(steps, { weigh, edges: least, nodes: rarest });
    assert.deepEqual([...graph.nodes], nodes);
    assert.deepEqual(graph.edges.map(({ a, b, count }) => [a, b, count]), edges.map((edge) => edge.slice(0, 3)));
    graph.edges.forEach(({ weight }, i) => assert.ok(Math.abs(weight - edges[i][3]) < FAR));
    assert.deepEqual(Graph.happyPath(graph, (node) => speakers[node - Graph.FIRST]), path);
  });
}

test("the order of the steps does not matter", () => {
  const { steps, rules: [weigh, edges, nodes] } = cases.find(({ name }) => name === "random 0");
  const rules = { weigh, edges, nodes };
  assert.deepEqual(Graph.prune([...steps].reverse(), rules), Graph.prune(steps, rules));
});

test("shares of the edges from a node add up to 1", () => {
  const { steps } = cases.find(({ name }) => name === "random 1");
  const { edges } = Graph.prune(steps, { weigh: "max", edges: 0.02, nodes: 0 });
  const sums = new Map();
  for (const { a, share } of edges) sums.set(a, (sums.get(a) ?? 0) + share);
  assert.ok(sums.size > 5);
  for (const sum of sums.values()) assert.ok(Math.abs(sum - 1) < FAR);
});
