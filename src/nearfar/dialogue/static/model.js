"use strict";
// What the page knows: its data, the state of its controls, and the graph that follows from both. It uses no document.
const Model = (() => {
  const { START, END, FIRST } = Graph;
  const NODE = { width: 204, height: 62 }; // size of an action's box
  const MOST_DRAWN = 1500; // maximum number of edges in the drawing

  const number = (value) => value.toLocaleString("en");
  const percent = (value) => `${(100 * value).toFixed(value < 0.0995 && value > 0 ? 1 : 0)}%`;
  const times = (count) => (count === 1 ? "once" : `${number(count)} times`);
  const isAction = (node) => node >= FIRST;
  const pairs = (nodes) => new Set(nodes.slice(1).map((node, i) => key(nodes[i], node)));
  const key = (a, b) => `${a} ${b}`;

  const create = (data) => {
    const state = {
      view: "all", // "all", or the index of a speaker
      rules: { ...data.rules },
      sideways: false,
      happy: true, // whether the main path is highlighted
      selected: null, // a node
      followed: null, // the index of a dialogue
      query: "",
    };
    // nodes and edges of the pruned graph; the edges that are drawn; their layout; the nodes of the main path.
    const graph = { nodes: new Map(), edges: [], drawn: [], places: new Map(), ways: new Map(), path: [] };

    const action = (node) => data.nodes[node - FIRST];
    const speakerOf = (node) => action(node).speaker;
    const nameOf = (node) => (node === START ? "start" : node === END ? "end" : action(node).name);
    const whoOf = (node) => (isAction(node) ? data.speakers[speakerOf(node)] : "");
    const labelOf = (node) => (isAction(node) ? `${whoOf(node)}: ${nameOf(node)}` : nameOf(node));
    const examplesOf = (node) => action(node).examples.map(([text, count]) => ({ text: data.texts[text], count }));
    const steps = () => data.views[state.view];
    const strongest = () => [...graph.edges].sort((x, y) => y.count - x.count || x.a - y.a || x.b - y.b);

    const changes = Changes.index(data.change);
    // How often an action occurs in the whole log.
    const often = new Map();
    for (const [, node, count] of data.views.all) often.set(node, (often.get(node) ?? 0) + count);
    const counted = (node) => often.get(node) ?? 0;

    const update = () => {
      const pruned = Graph.prune(steps(), state.rules);
      const before = data.change === null ? null : Graph.prune(data.change.views[state.view], state.rules);
      Object.assign(graph, before === null ? pruned : Graph.either(pruned, before, steps(), state.rules));
      graph.path = Graph.happyPath(graph, speakerOf);
      graph.drawn = graph.edges.length <= MOST_DRAWN ? graph.edges : strongest().slice(0, MOST_DRAWN);
      Object.assign(graph, Layout.lay({ nodes: graph.nodes, edges: graph.drawn }, NODE, state.sideways));
      if (state.selected !== null && !graph.nodes.has(state.selected)) state.selected = null;
    };

    const status = () => {
      const all = new Set(steps().flatMap(([a, b]) => [a, b]).filter(isAction)).size;
      const actions = [...graph.nodes.keys()].filter(isAction).length;
      if (actions === 0) return "No action is above the minimum: lower the limits.";
      const part = graph.drawn.length < graph.edges.length ? `; the ${number(graph.drawn.length)} strongest are drawn` : "";
      return `${number(actions)} of ${number(all)} actions, ${number(graph.edges.length)} of ${number(steps().length)} steps${part}`;
    };

    // Whether a node is a result of the search: by its name, words or examples, without regard to case.
    const matches = (node) => {
      const query = state.query.toLocaleLowerCase();
      if (query === "") return true;
      if (!isAction(node)) return false;
      const texts = [nameOf(node), ...action(node).words, ...examplesOf(node).map(({ text }) => text)];
      return texts.some((text) => text.toLocaleLowerCase().includes(query));
    };

    // All actions of the current view and how often they are entered, and those of them that match the search.
    const search = () => {
      const counts = new Map();
      for (const [, node, count] of steps()) if (isAction(node)) counts.set(node, (counts.get(node) ?? 0) + count);
      const found = [...counts].filter(([node]) => matches(node)).sort((x, y) => y[1] - x[1] || x[0] - y[0]);
      return { all: counts.size, found };
    };

    // The turns of the followed dialogue as {node, text, place}: the place among the turns that are in the graph, or
    // null; and how many turns more the dialogue has.
    const turns = () => {
      if (state.followed === null) return { turns: [], more: 0 };
      const [, more, ...flat] = data.paths[state.followed];
      const found = [];
      let place = 0;
      for (let i = 0; i < flat.length; i += 2) {
        const node = flat[i];
        found.push({ node, text: data.texts[flat[i + 1]], place: graph.nodes.has(node) ? ++place : null });
      }
      return { turns: found, more };
    };

    // The nodes of the graph that the followed dialogue visits; null if none is followed.
    const walk = () => {
      if (state.followed === null) return null;
      const visited = turns().turns.map(({ node }) => node);
      const spoken = visited.filter((node) => state.view === "all" || String(speakerOf(node)) === state.view);
      return [START, ...spoken, END].filter((node) => graph.nodes.has(node));
    };

    // What is highlighted: a followed dialogue, else a selected node, else the results of a search; and the main path.
    // Returns {edges: Map edge -> {happy, on, dim}, nodes: Map node -> {on, near, dim}, walk}.
    const emphasis = () => {
      const { selected } = state;
      const visited = walk();
      const walked = visited === null ? null : pairs(visited);
      const main = state.happy ? pairs(graph.path) : new Set();
      const near = new Set(selected === null ? [] : [selected]);
      for (const { a, b } of graph.edges) {
        if (a === selected) near.add(b);
        if (b === selected) near.add(a);
      }
      const edge = ({ a, b }) => {
        const happy = main.has(key(a, b));
        if (walked !== null) {
          const on = walked.has(key(a, b));
          return { happy: false, above: on || happy, on, dim: !on };
        }
        const on = a === selected || b === selected;
        return { happy, above: on || happy, on, dim: selected === null ? state.query !== "" : !on };
      };
      const node = (each) => {
        const found = matches(each);
        const dim = visited !== null ? !visited.includes(each) : selected !== null ? !near.has(each) : !found;
        const on = each === selected || (state.query !== "" && visited === null && found);
        return { on, near: near.has(each), dim };
      };
      return {
        edges: new Map(graph.drawn.map((each) => [each, edge(each)])),
        nodes: new Map([...graph.nodes.keys()].map((each) => [each, node(each)])),
        walk: visited,
      };
    };

    // Exports of the graph that is shown

    const labels = () => new Map([...graph.nodes.keys()].map((node) => [node, [whoOf(node), nameOf(node)]]));
    const json = () => {
      const nodes = [...graph.nodes].map(([node, count]) => {
        if (!isAction(node)) return { id: node, name: `[${nameOf(node)}]` };
        const { source, words, slots } = action(node);
        const about = { words, slots: Object.fromEntries(slots), examples: examplesOf(node) };
        return { id: node, name: nameOf(node), named_by: source, speaker: whoOf(node), count, ...about };
      });
      const edges = graph.edges.map(({ a, b, count, weight }) => ({ source: a, target: b, count, weight }));
      return `${JSON.stringify({ rules: state.rules, nodes, edges, happy_path: graph.path }, null, 1)}\n`;
    };
    const rows = () => [
      ["from", "to", "times", "share of steps from there"],
      ...strongest().map(({ a, b, count, share }) => [labelOf(a), labelOf(b), count, share]),
    ];

    return {
      data, state, graph, changes, counted, action, examplesOf, labelOf, nameOf, speakerOf, whoOf,
      update, status, steps, strongest, matches, search, turns, walk, emphasis, labels, json, rows,
    };
  };

  return { NODE, create, isAction, number, percent, times };
})();
