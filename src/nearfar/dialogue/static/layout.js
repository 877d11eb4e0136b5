"use strict";
// A layered drawing (Sugiyama, Tagawa and Toda 1981): layers, fewer crossings by barycentres, then coordinates.
const Layout = (() => {
  const SWEEPS = 16;
  const SETTLES = 12;
  const THREAD = 14; // width of a long edge in each layer that it crosses
  const MOST_THREADED = 400; // with more edges, long ones are drawn straight through

  // Layers: every node is below the source of its strongest step and above the target of its strongest step, if that
  // makes no cycle. Returns Map node -> layer, with START in layer 0 and END in the last one.
  const layers = (nodes, edges) => {
    const backbone = new Set();
    for (const key of ["a", "b"]) {
      const best = new Map();
      for (const edge of edges) {
        const strongest = best.get(edge[key]);
        if (strongest === undefined || edge.count > strongest.count) best.set(edge[key], edge);
      }
      for (const edge of best.values()) backbone.add(edge);
    }
    const after = new Map(nodes.map((node) => [node, []]));
    const leads = (from, to, seen = new Set()) => {
      if (from === to) return true;
      seen.add(from);
      return after.get(from).some((next) => !seen.has(next) && leads(next, to, seen));
    };
    for (const edge of [...backbone].sort((x, y) => y.count - x.count || x.a - y.a || x.b - y.b)) {
      if (edge.a !== Graph.START && edge.b !== Graph.END && !leads(edge.b, edge.a)) after.get(edge.a).push(edge.b);
    }
    const inner = nodes.filter((node) => node >= Graph.FIRST);
    const depth = new Map();
    const before = new Map(nodes.map((node) => [node, []]));
    for (const node of inner) for (const next of after.get(node)) before.get(next).push(node);
    const depthOf = (node) => {
      if (!depth.has(node)) depth.set(node, 1 + Math.max(0, ...before.get(node).map(depthOf)));
      return depth.get(node);
    };
    inner.forEach(depthOf);
    // A node without predecessor in the backbone moves down to its successors.
    for (const node of [...inner].sort((x, y) => depth.get(y) - depth.get(x))) {
      const next = after.get(node).map((other) => depth.get(other));
      const first = edges.some((edge) => edge.a === Graph.START && edge.b === node && edge.weight >= 0.1);
      if (next.length > 0 && before.get(node).length === 0 && !first) depth.set(node, Math.max(1, Math.min(...next) - 1));
    }
    depth.set(Graph.START, 0);
    depth.set(Graph.END, 1 + Math.max(0, ...inner.map((node) => depth.get(node))));
    return depth;
  };

  // Cells: the nodes, and one for each layer that an edge crosses. Links connect cells of neighbouring layers.
  const cells = (nodes, edges, depth, room) => {
    const rows = Array.from({ length: depth.get(Graph.END) + 1 }, () => []);
    const cell = (layer, extent, node) => {
      const made = { layer, extent, node, up: [], down: [], at: 0, order: 0 };
      rows[layer].push(made);
      return made;
    };
    const of = new Map(nodes.map((node) => [node, cell(depth.get(node), room, node)]));
    const ways = new Map();
    for (const edge of edges) {
      const [top, bottom] = depth.get(edge.a) <= depth.get(edge.b) ? [edge.a, edge.b] : [edge.b, edge.a];
      const way = [of.get(top)];
      if (edges.length <= MOST_THREADED) {
        for (let layer = depth.get(top) + 1; layer < depth.get(bottom); layer++) way.push(cell(layer, THREAD, null));
      }
      way.push(of.get(bottom));
      const pull = Math.sqrt(edge.count);
      for (let i = 0; i + 1 < way.length; i++) {
        if (way[i].layer === way[i + 1].layer) continue;
        way[i].down.push([way[i + 1], pull]);
        way[i + 1].up.push([way[i], pull]);
      }
      ways.set(edge, top === edge.a ? way : way.reverse());
    }
    return { rows, of, ways };
  };

  const number = (row) => row.forEach((cell, i) => { cell.order = i; });

  const crossings = (rows) => {
    let found = 0;
    for (const row of rows) {
      const links = row.flatMap((cell) => cell.down.filter(([other]) => other.layer === cell.layer + 1).map(([other]) => [cell.order, other.order]));
      links.sort((x, y) => x[0] - y[0] || x[1] - y[1]);
      // Count inversions of the second ends, by insertion into a sorted list.
      const seen = [];
      for (const [, end] of links) {
        let low = 0;
        let high = seen.length;
        while (low < high) {
          const middle = (low + high) >> 1;
          if (seen[middle] <= end) low = middle + 1;
          else high = middle;
        }
        found += seen.length - low;
        seen.splice(low, 0, end);
      }
    }
    return found;
  };

  const mean = (links, key) => {
    let sum = 0;
    let whole = 0;
    for (const [other, pull] of links) {
      sum += pull * other[key];
      whole += pull;
    }
    return whole === 0 ? null : sum / whole;
  };

  const arrange = (rows) => {
    rows.forEach(number);
    let best = rows.map((row) => [...row]);
    let fewest = crossings(rows);
    for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
      const down = sweep % 2 === 0;
      const order = rows.map((_, i) => (down ? i : rows.length - 1 - i));
      for (const i of order) {
        const wish = new Map(rows[i].map((cell) => [cell, mean(down ? cell.up : cell.down, "order") ?? cell.order]));
        rows[i].sort((x, y) => wish.get(x) - wish.get(y) || x.order - y.order);
        number(rows[i]);
      }
      const now = crossings(rows);
      if (now < fewest) {
        fewest = now;
        best = rows.map((row) => [...row]);
      }
    }
    best.forEach((row, i) => { rows[i] = row; number(row); });
    return fewest;
  };

  // The positions closest to the wishes that keep order and distance: neighbours that would overlap move as one block.
  const settle = (row, wishes, gap) => {
    const blocks = [];
    let offset = 0;
    row.forEach((cell, i) => {
      if (i > 0) offset += (row[i - 1].extent + cell.extent) / 2 + gap;
      const pull = cell.node === null ? 1 : 2;
      blocks.push({ sum: pull * (wishes[i] - offset), pull, cells: [[cell, offset]] });
      while (blocks.length > 1) {
        const last = blocks[blocks.length - 1];
        const before = blocks[blocks.length - 2];
        if (before.sum / before.pull <= last.sum / last.pull) break;
        blocks.pop();
        before.sum += last.sum;
        before.pull += last.pull;
        before.cells.push(...last.cells);
      }
    });
    for (const block of blocks) for (const [cell, shift] of block.cells) cell.at = block.sum / block.pull + shift;
  };

  const place = (rows, gap) => {
    for (const row of rows) settle(row, row.map(() => 0), gap);
    for (let round = 0; round < SETTLES; round++) {
      const order = round % 2 === 0 ? rows : [...rows].reverse();
      for (const row of order) {
        settle(row, row.map((cell) => mean(round < SETTLES - 2 ? (round % 2 === 0 ? cell.up : cell.down) : [...cell.up, ...cell.down], "at") ?? cell.at), gap);
      }
    }
  };

  // graph: {nodes, edges} of Graph.prune; size: {width, height} of a node; sideways: layers from left to right.
  // Returns places: Map node -> {x, y} (centres), ways: Map edge -> points from source to target, and crossings.
  const lay = (graph, size, sideways) => {
    const nodes = [...graph.nodes.keys()];
    if (nodes.length === 0) return { places: new Map(), ways: new Map(), crossings: 0 };
    const depth = layers(nodes, graph.edges);
    const room = sideways ? size.height : size.width;
    const { rows, of, ways } = cells(nodes, graph.edges, depth, room);
    const fewest = arrange(rows);
    place(rows, sideways ? 14 : 22);
    // The distance of two layers grows with the number of edges between them.
    const thickness = sideways ? size.width : size.height;
    const tops = [0];
    for (let i = 0; i + 1 < rows.length; i++) {
      const links = rows[i].reduce((sum, cell) => sum + cell.down.length, 0);
      tops.push(tops[i] + thickness + Math.min(150, 46 + 3 * links));
    }
    const point = (cell) => (sideways ? { x: tops[cell.layer], y: cell.at } : { x: cell.at, y: tops[cell.layer] });
    const places = new Map([...of].map(([node, cell]) => [node, point(cell)]));
    return { places, ways: new Map([...ways].map(([edge, way]) => [edge, way.map(point)])), crossings: fewest };
  };

  return { lay, layers };
})();
