"use strict";
// The rules that prune a transition graph, as in nearfar.dialogue.graph; the cases of tests/dialogue/graphs.json test
// both. Node 0 is the start, node 1 the end.
const Graph = (() => {
  const START = 0;
  const END = 1;
  const FIRST = 2;

  // [source, target, count] of every step -> Map of node -> how often it is entered.
  const entered = (steps) => {
    const times = new Map([[START, 1], [END, 1]]);
    for (const [, node, count] of steps) {
      if (node !== END) times.set(node, (times.get(node) ?? 0) + count);
    }
    return times;
  };

  const weights = (steps, weighing) => {
    const whole = new Map();
    for (const [a, , count] of steps) {
      const place = weighing === "max" ? START : a;
      const soFar = whole.get(place) ?? 0;
      whole.set(place, weighing === "prob-out" ? soFar + count : Math.max(soFar, count));
    }
    return steps.map(([a, , count]) => count / whole.get(weighing === "max" ? START : a));
  };

  // The nodes that edges connect with `root`; from and to are the ends of an edge, 0 and 1, or 1 and 0 for backwards.
  const reached = (edges, root, from, to) => {
    const after = new Map();
    for (const edge of edges) {
      if (!after.has(edge[from])) after.set(edge[from], []);
      after.get(edge[from]).push(edge[to]);
    }
    const found = new Set([root]);
    const waiting = [root];
    while (waiting.length > 0) {
      for (const node of after.get(waiting.pop()) ?? []) {
        if (!found.has(node)) {
          found.add(node);
          waiting.push(node);
        }
      }
    }
    return found;
  };

  // The edges between nodes that are on some path from start to end.
  const between = (edges) => {
    const forward = reached(edges, START, 0, 1);
    const backward = reached(edges, END, 1, 0);
    const good = (node) => forward.has(node) && backward.has(node);
    return edges.filter(([a, b]) => good(a) && good(b));
  };

  // Returns {nodes: Map node -> count, edges: [{a, b, count, weight, share}]}, both in ascending order.
  const prune = (steps, rules) => {
    const times = entered(steps);
    const before = weights(steps, rules.weigh);
    let most = 0;
    for (const [node, count] of times) if (node >= FIRST) most = Math.max(most, count);
    const kept = (node) => node < FIRST || times.get(node) / most >= rules.nodes;
    let left = steps.map(([a, b, count], i) => [a, b, count, before[i]]).filter(([a, b]) => a !== b && kept(a) && kept(b));
    left = between(left.filter((edge) => edge[3] >= rules.edges));
    left.sort((x, y) => x[0] - y[0] || x[1] - y[1]);
    const after = weights(left, rules.weigh);
    const share = weights(left, "prob-out");
    const edges = left.map(([a, b, count], i) => ({ a, b, count, weight: after[i], share: share[i] }));
    const nodes = [...new Set(left.flatMap(([a, b]) => [a, b]))].sort((x, y) => x - y);
    return { nodes: new Map(nodes.map((node) => [node, times.get(node)])), edges };
  };

  // The nodes and edges of two pruned graphs, with the counts of one log: `steps`; what it does not contain counts 0.
  const either = (after, before, steps, rules) => {
    const counts = new Map(steps.map(([a, b, count]) => [`${a} ${b}`, count]));
    const times = entered(steps);
    const found = new Map([...after.edges, ...before.edges].map(({ a, b }) => [`${a} ${b}`, [a, b, counts.get(`${a} ${b}`) ?? 0]]));
    const left = [...found.values()].sort((x, y) => x[0] - y[0] || x[1] - y[1]);
    const some = left.filter(([, , count]) => count > 0);
    const [weight, share] = [rules.weigh, "prob-out"].map((weighing) => {
      const values = weights(some, weighing);
      return new Map(some.map((edge, i) => [edge, values[i]]));
    });
    const edges = left.map((edge) => ({ a: edge[0], b: edge[1], count: edge[2], weight: weight.get(edge) ?? 0, share: share.get(edge) ?? 0 }));
    const nodes = [...new Set([...after.nodes.keys(), ...before.nodes.keys()])].sort((x, y) => x - y);
    return { nodes: new Map(nodes.map((node) => [node, times.get(node) ?? 0])), edges };
  };

  // The path whose weakest edge is strongest; of equal ones the most probable, then the shortest. No speaker has two
  // turns in a row, unless there is only one speaker.
  const happyPath = (graph, speakerOf) => {
    const speakers = new Set([...graph.nodes.keys()].filter((node) => node >= FIRST).map(speakerOf));
    const alternates = ({ a, b }) => a < FIRST || b < FIRST || speakerOf(a) !== speakerOf(b);
    const edges = graph.edges.filter((edge) => edge.count > 0 && (speakers.size <= 1 || alternates(edge)));
    const strengths = [...new Set(edges.map((edge) => edge.weight))].sort((x, y) => y - x);
    const upTo = (strength) => edges.filter((edge) => edge.weight >= strength);
    let low = 0;
    let high = strengths.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (reached(upTo(strengths[middle]).map(({ a, b }) => [a, b]), START, 0, 1).has(END)) high = middle;
      else low = middle + 1;
    }
    return low === strengths.length ? [] : likeliest(upTo(strengths[low]));
  };

  // Dijkstra's shortest path, with the negative log-probability of each step as its length.
  const likeliest = (edges) => {
    const after = new Map();
    for (const edge of edges) {
      if (!after.has(edge.a)) after.set(edge.a, []);
      after.get(edge.a).push(edge);
    }
    const earlier = (x, y) => {
      if (x.cost !== y.cost) return x.cost < y.cost;
      if (x.path.length !== y.path.length) return x.path.length < y.path.length;
      const i = x.path.findIndex((node, at) => node !== y.path[at]);
      return i >= 0 && x.path[i] < y.path[i];
    };
    const waiting = [{ cost: 0, path: [START] }];
    const done = new Set();
    while (waiting.length > 0) {
      let best = 0;
      for (let i = 1; i < waiting.length; i++) if (earlier(waiting[i], waiting[best])) best = i;
      const { cost, path } = waiting.splice(best, 1)[0];
      const node = path[path.length - 1];
      if (node === END) return path;
      if (done.has(node)) continue;
      done.add(node);
      for (const edge of after.get(node) ?? []) {
        if (!done.has(edge.b)) waiting.push({ cost: cost - Math.log(edge.share), path: [...path, edge.b] });
      }
    }
    return [];
  };

  return { START, END, FIRST, prune, either, happyPath };
})();
