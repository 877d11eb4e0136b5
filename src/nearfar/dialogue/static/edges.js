"use strict";
// The curves of edges: where they start and end on their nodes, and how they run between the layers.
const Edges = (() => {
  const isAction = (node) => node >= Graph.FIRST;

  // The offset of both ends of each edge along the side of its node. The ends on one side are ordered by the direction
  // of their edges, so that edges fan out without crossing.
  // ways: Map edge -> points; size: {width, height} of a node. Returns Map edge -> {a, b}.
  const ports = (edges, ways, size, sideways) => {
    const [along, across] = sideways ? ["y", "x"] : ["x", "y"];
    const sides = new Map();
    const add = (node, way, edge) => {
      const side = Math.sign(way[1][across] - way[0][across]) || 1;
      const key = `${node} ${side}`;
      if (!sides.has(key)) sides.set(key, []);
      sides.get(key).push({ edge, end: node === edge.a ? "a" : "b", at: way[1][along] });
    };
    for (const edge of edges) {
      const way = ways.get(edge);
      add(edge.a, way, edge);
      add(edge.b, [...way].reverse(), edge);
    }
    const found = new Map(edges.map((edge) => [edge, { a: 0, b: 0 }]));
    for (const [key, ends] of sides) {
      const inner = isAction(Number(key.split(" ")[0]));
      const room = (sideways ? size.height * 0.6 : size.width * 0.7) * (inner ? 1 : 0.35);
      const gap = Math.min(sideways ? 10 : 26, room / ends.length);
      ends.sort((x, y) => x.at - y.at);
      ends.forEach(({ edge, end }, i) => { found.get(edge)[end] = (i - (ends.length - 1) / 2) * gap; });
    }
    return found;
  };

  // The path of an edge and of its arrow head, as SVG's commands. All is computed for layers that run downwards, with
  // u along a layer and v across the layers, and turned at the end.
  const curve = (edge, way, port, width, size, sideways) => {
    const points = way.map(({ x, y }) => (sideways ? { u: y, v: x } : { u: x, v: y }));
    const half = (sideways ? size.width : size.height) / 2;
    const halfOf = (node) => (isAction(node) ? half : sideways ? 44 : 16);
    const last = points.length - 1;
    const down = Math.sign(points[last].v - points[0].v);
    const at = (u, v) => (sideways ? `${v.toFixed(1)} ${u.toFixed(1)}` : `${u.toFixed(1)} ${v.toFixed(1)}`);
    const tip = 5 + 1.1 * width;
    const start = points[0].u + port.a;
    const end = { u: points[last].u + port.b, v: points[last].v - down * halfOf(edge.b) };
    let line;
    if (down === 0) {
      // Both nodes are in one layer: the edge leaves it on one side and comes back.
      const out = points[0].v + half + 26 + Math.min(40, Math.abs(points[1].u - points[0].u) / 12);
      end.v = points[1].v + halfOf(edge.b);
      line = `M${at(start, points[0].v + halfOf(edge.a))}C${at(start, out)} ${at(end.u, out)} ${at(end.u, end.v + tip)}`;
    } else {
      const stops = [{ u: start, v: points[0].v + down * halfOf(edge.a) }];
      for (const { u, v } of points.slice(1, last)) {
        stops.push({ u, v: v - down * half * 0.8 }, { u, v: v + down * half * 0.8 });
      }
      stops.push({ u: end.u, v: end.v - down * tip });
      line = `M${at(stops[0].u, stops[0].v)}`;
      for (let i = 1; i < stops.length; i++) {
        const [p, q] = [stops[i - 1], stops[i]];
        const middle = (p.v + q.v) / 2;
        line += `C${at(p.u, middle)} ${at(q.u, middle)} ${at(q.u, q.v)}`;
      }
    }
    const wing = 2.6 + 0.75 * width;
    const base = end.v + (down === 0 ? 1 : -down) * (tip + 1);
    const head = `M${at(end.u, end.v)}L${at(end.u - wing, base)}L${at(end.u + wing, base)}Z`;
    return { line, head };
  };

  return { ports, curve };
})();
