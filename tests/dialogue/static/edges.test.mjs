import assert from "node:assert/strict";
import test from "node:test";
import { parts } from "./load.mjs";

const { Edges } = parts;
const SIZE = { width: 200, height: 60 };
const numbers = (path) => path.match(/-?\d+(\.\d+)?/g).map(Number);

test("edges on one side of a node are ordered by their direction and centred", () => {
  const [left, right] = [{ a: 2, b: 3 }, { a: 2, b: 4 }];
  const ways = new Map([
    [right, [{ x: 0, y: 0 }, { x: 300, y: 100 }]],
    [left, [{ x: 0, y: 0 }, { x: -300, y: 100 }]],
  ]);
  const ports = Edges.ports([right, left], ways, SIZE, false);
  assert.ok(ports.get(left).a < ports.get(right).a);
  assert.equal(ports.get(left).a + ports.get(right).a, 0);
  assert.equal(ports.get(left).b, 0);
});

test("many edges stay within the side of their node", () => {
  const edges = Array.from({ length: 40 }, (_, i) => ({ a: 2, b: i + 3 }));
  const ways = new Map(edges.map((edge, i) => [edge, [{ x: 0, y: 0 }, { x: 10 * i, y: 100 }]]));
  for (const { a } of Edges.ports(edges, ways, SIZE, false).values()) assert.ok(Math.abs(a) < SIZE.width / 2);
});

test("a curve starts at the border of its source and its head ends at the border of its target", () => {
  const way = [{ x: 10, y: 0 }, { x: 40, y: 200 }];
  const { line, head } = Edges.curve({ a: 2, b: 3 }, way, { a: 5, b: -5 }, 2, SIZE, false);
  assert.deepEqual(numbers(line).slice(0, 2), [15, 30]);
  assert.deepEqual(numbers(head).slice(0, 2), [35, 170]);
  const upwards = Edges.curve({ a: 3, b: 2 }, [...way].reverse(), { a: 0, b: 0 }, 2, SIZE, false);
  assert.deepEqual(numbers(upwards.line).slice(0, 2), [40, 170]);
  assert.deepEqual(numbers(upwards.head).slice(0, 2), [10, 30]);
});

test("a sideways curve is the downwards one with x and y exchanged", () => {
  const size = { width: 100, height: 100 };
  const turned = (path) => { const n = numbers(path); return n.map((_, i) => n[i ^ 1]); };
  const way = [{ x: 0, y: 0 }, { x: 30, y: 150 }, { x: 60, y: 300 }];
  const down = Edges.curve({ a: 2, b: 3 }, way, { a: 3, b: 4 }, 1, size, false);
  const across = Edges.curve({ a: 2, b: 3 }, way.map(({ x, y }) => ({ x: y, y: x })), { a: 3, b: 4 }, 1, size, true);
  assert.deepEqual(turned(across.line), numbers(down.line));
  assert.deepEqual(turned(across.head), numbers(down.head));
});

test("an edge within a layer leaves it and comes back", () => {
  const { line, head } = Edges.curve({ a: 2, b: 3 }, [{ x: 0, y: 0 }, { x: 240, y: 0 }], { a: 0, b: 0 }, 1, SIZE, false);
  const [, start, , out] = numbers(line);
  assert.equal(start, 30);
  assert.ok(out > 30 + 26);
  assert.deepEqual(numbers(head).slice(0, 2), [240, 30]);
  assert.ok(numbers(head)[3] > 30);
});
