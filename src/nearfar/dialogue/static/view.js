"use strict";
// The page at work. Texts of the dialogues are set as text, never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("flow").textContent);
  const { START, END, FIRST } = Graph;
  const SIZE = { width: 204, height: 62 };
  const MOST_DRAWN = 1500;
  const MOST_LISTED = 400;
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const svg = byId("graph");
  const world = byId("world");
  const narrow = matchMedia("(max-width: 760px)");
  const family = getComputedStyle(document.body).fontFamily;
  const pen = document.createElement("canvas").getContext("2d");

  const state = {
    view: "all",
    rules: { ...data.rules },
    sideways: false,
    happy: true,
    selected: null,
    followed: null,
    query: "",
    x: 0,
    y: 0,
    scale: 1,
  };
  let shown = { nodes: new Map(), edges: [] };
  let drawn = { places: new Map(), ways: new Map() };
  let elements = { nodes: new Map(), edges: new Map() };
  let path = [];

  // Texts

  const isAction = (node) => node >= FIRST;
  const action = (node) => data.nodes[node - FIRST];
  const nameOf = (node) => (node === START ? "start" : node === END ? "end" : action(node).name);
  const speakerOf = (node) => action(node).speaker;
  const whoOf = (node) => (isAction(node) ? data.speakers[speakerOf(node)] : "");
  const number = (value) => value.toLocaleString("en");
  const percent = (value) => `${(100 * value).toFixed(value < 0.0995 && value > 0 ? 1 : 0)}%`;
  const times = (count) => (count === 1 ? "once" : `${number(count)} times`);

  const make = (tag, { text, ...attributes } = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  };
  const draw = (tag, { text, ...attributes } = {}, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  };

  const wrapped = (text, width, lines) => {
    const broken = [];
    let left = text;
    while (left !== "" && broken.length < lines) {
      const whole = [...left];
      let fits = 0;
      while (fits < whole.length && fits < 200 && pen.measureText(whole.slice(0, fits + 1).join("")).width <= width) fits++;
      if (fits === whole.length) {
        broken.push(left);
        return broken;
      }
      let head = whole.slice(0, Math.max(1, fits)).join("");
      const space = head.lastIndexOf(" ");
      if (broken.length === lines - 1) {
        while (head !== "" && pen.measureText(`${head}…`).width > width) head = [...head].slice(0, -1).join("");
        broken.push(`${head.trimEnd()}…`);
        return broken;
      }
      if (whole[fits] !== " " && space > 0) head = head.slice(0, space);
      broken.push(head.trim());
      left = left.slice(head.length).trimStart();
    }
    return broken;
  };

  // Drawing

  const steps = () => data.views[state.view];

  const update = () => {
    shown = Graph.prune(steps(), state.rules);
    path = Graph.happyPath(shown, speakerOf);
    const edges = shown.edges.length <= MOST_DRAWN ? shown.edges : [...shown.edges].sort((x, y) => y.count - x.count).slice(0, MOST_DRAWN);
    drawn = Layout.lay({ nodes: shown.nodes, edges }, SIZE, state.sideways);
    if (state.selected !== null && !shown.nodes.has(state.selected)) state.selected = null;
    paint(edges);
    const all = new Set(steps().flatMap(([a, b]) => [a, b]).filter(isAction)).size;
    const actions = [...shown.nodes.keys()].filter(isAction).length;
    const part = edges.length < shown.edges.length ? `, the ${number(edges.length)} strongest drawn` : "";
    byId("status").textContent =
      actions === 0
        ? "Nothing is left: lower the limits."
        : `${number(actions)} of ${number(all)} actions, ${number(shown.edges.length)} of ${number(steps().length)} steps${part}`;
    byId("edges-value").textContent = percent(state.rules.edges);
    byId("nodes-value").textContent = percent(state.rules.nodes);
    listActions();
    listTurns();
    listNumbers();
    emphasise();
  };

  const paint = (edges) => {
    elements = { nodes: new Map(), edges: new Map() };
    const most = Math.max(1, ...edges.map((edge) => edge.count));
    const often = Math.max(1, ...[...shown.nodes].filter(([node]) => isAction(node)).map(([, count]) => count));
    const ports = portsOf(edges);
    byId("edge-layer").replaceChildren(
      ...edges.map((edge) => {
        const width = 1.1 + 5.4 * Math.sqrt(edge.count / most);
        const { line, head } = curve(edge, ports, width);
        const group = draw(
          "g",
          { class: "edge" },
          draw("path", { d: line, "stroke-width": width.toFixed(2) }),
          draw("path", { d: head, class: "head" }),
          draw("path", { d: line, class: "catch" }),
        );
        group.edge = edge;
        elements.edges.set(edge, group);
        return group;
      }),
    );
    byId("node-layer").replaceChildren(
      ...[...shown.nodes].map(([node, count]) => {
        const group = isAction(node) ? actionBox(node, count, often) : endBox(node);
        group.node = node;
        elements.nodes.set(node, group);
        return group;
      }),
    );
  };

  const endBox = (node) => {
    const { x, y } = drawn.places.get(node);
    return draw(
      "g",
      { class: "node", transform: `translate(${x} ${y})`, tabindex: "-1", role: "button", "aria-label": nameOf(node) },
      draw("rect", { class: "ends", x: -44, y: -16, width: 88, height: 32, rx: 16 }),
      draw("text", { "text-anchor": "middle", y: 4.5, class: "name", text: nameOf(node) }),
    );
  };

  const actionBox = (node, count, often) => {
    const { x, y } = drawn.places.get(node);
    const { width, height } = SIZE;
    pen.font = `13px ${family}`;
    const lines = wrapped(nameOf(node), width - 22, 2);
    const first = lines.length === 1 ? -4 : -12;
    pen.font = `11px ${family}`;
    const [who] = wrapped(whoOf(node), width - 90, 1);
    return draw(
      "g",
      {
        class: `node c${speakerOf(node)}`,
        transform: `translate(${x} ${y})`,
        tabindex: "-1",
        role: "button",
        "aria-label": `${whoOf(node)}: ${nameOf(node)}, ${times(count)}`,
      },
      draw("rect", { class: "box", x: -width / 2, y: -height / 2, width, height, rx: 6 }),
      draw("path", { class: "bar", d: `M${-width / 2 + 6} ${-height / 2}h-0.5a5.5 5.5 0 0 0 -5.5 5.5v${height - 11}a5.5 5.5 0 0 0 5.5 5.5h0.5z` }),
      draw("rect", { class: "often", x: -width / 2 + 12, y: height / 2 - 5, width: Math.max(2, ((width - 20) * count) / often), height: 2.5 }),
      ...lines.map((text, i) => draw("text", { class: "name", x: -width / 2 + 13, y: first + 16 * i, text })),
      draw("text", { class: "who", x: -width / 2 + 13, y: height / 2 - 10, text: who ?? "" }),
      draw("text", { class: "who", x: width / 2 - 8, y: height / 2 - 10, "text-anchor": "end", text: number(count) }),
    );
  };

  // Where on the side of its node an edge begins or ends: in the order of where it goes, so that edges fan out.
  const portsOf = (edges) => {
    const [along, across] = state.sideways ? ["y", "x"] : ["x", "y"];
    const sides = new Map();
    const add = (node, way, edge) => {
      const side = Math.sign(way[1][across] - way[0][across]) || 1;
      const key = `${node} ${side}`;
      if (!sides.has(key)) sides.set(key, []);
      sides.get(key).push({ edge, end: node === edge.a ? "a" : "b", at: way[1][along] });
    };
    for (const edge of edges) {
      const way = drawn.ways.get(edge);
      add(edge.a, way, edge);
      add(edge.b, [...way].reverse(), edge);
    }
    const ports = new Map(edges.map((edge) => [edge, { a: 0, b: 0 }]));
    for (const [key, held] of sides) {
      const inner = Number(key.split(" ")[0]) >= FIRST;
      const room = (state.sideways ? SIZE.height * 0.6 : SIZE.width * 0.7) * (inner ? 1 : 0.35);
      const gap = Math.min(state.sideways ? 10 : 26, room / held.length);
      held.sort((x, y) => x.at - y.at);
      held.forEach(({ edge, end }, i) => { ports.get(edge)[end] = (i - (held.length - 1) / 2) * gap; });
    }
    return ports;
  };

  const curve = (edge, ports, width) => {
    // Worked out as if layers ran downwards: u along a layer, v across.
    const turned = state.sideways;
    const points = drawn.ways.get(edge).map(({ x, y }) => (turned ? { u: y, v: x } : { u: x, v: y }));
    const half = (turned ? SIZE.width : SIZE.height) / 2;
    const halfOf = (node) => (isAction(node) ? half : turned ? 44 : 16);
    const last = points.length - 1;
    const down = Math.sign(points[last].v - points[0].v);
    const { a, b } = ports.get(edge);
    const at = (u, v) => (turned ? `${v.toFixed(1)} ${u.toFixed(1)}` : `${u.toFixed(1)} ${v.toFixed(1)}`);
    const tip = 5 + 1.1 * width;
    let line;
    let end;
    let from;
    if (down === 0) {
      // Neighbours of one layer: out at the far side and back in.
      const out = half + 26 + Math.min(40, Math.abs(points[1].u - points[0].u) / 12);
      const start = at(points[0].u + a, points[0].v + halfOf(edge.a));
      end = { u: points[1].u + b, v: points[1].v + halfOf(edge.b) };
      from = 1;
      line = `M${start}C${at(points[0].u + a, points[0].v + out)} ${at(end.u, points[1].v + out)} ${at(end.u, end.v + tip)}`;
    } else {
      const stops = [{ u: points[0].u + a, v: points[0].v + down * halfOf(edge.a) }];
      for (const point of points.slice(1, last)) {
        stops.push({ u: point.u, v: point.v - down * half * 0.8 }, { u: point.u, v: point.v + down * half * 0.8 });
      }
      end = { u: points[last].u + b, v: points[last].v - down * halfOf(edge.b) };
      from = -down;
      stops.push({ u: end.u, v: end.v + from * tip });
      line = `M${at(stops[0].u, stops[0].v)}`;
      for (let i = 1; i < stops.length; i++) {
        const [p, q] = [stops[i - 1], stops[i]];
        const middle = (p.v + q.v) / 2;
        line += `C${at(p.u, middle)} ${at(q.u, middle)} ${at(q.u, q.v)}`;
      }
    }
    const wing = 2.6 + 0.75 * width;
    const head = `M${at(end.u, end.v)}L${at(end.u - wing, end.v + from * (tip + 1))}L${at(end.u + wing, end.v + from * (tip + 1))}Z`;
    return { line, head };
  };

  // What stands out: the main path, a selection, a dialogue, a search

  const matches = (node) => {
    const query = state.query.toLocaleLowerCase();
    if (query === "") return true;
    if (!isAction(node)) return false;
    const { name, words, examples } = action(node);
    return [name, ...words, ...examples.map(([text]) => data.texts[text])].some((text) => text.toLocaleLowerCase().includes(query));
  };

  const key = (a, b) => `${a} ${b}`;

  const followedNodes = () => {
    if (state.followed === null) return null;
    const [, , ...flat] = data.paths[state.followed];
    const nodes = [];
    for (let i = 0; i < flat.length; i += 2) {
      if (state.view === "all" || String(speakerOf(flat[i])) === state.view) nodes.push(flat[i]);
    }
    return [START, ...nodes, END].filter((node) => shown.nodes.has(node));
  };

  const emphasise = () => {
    const walk = followedNodes();
    const walked = walk === null ? null : new Set(walk.slice(1).map((node, i) => key(walk[i], node)));
    const main = new Set(state.happy ? path.slice(1).map((node, i) => key(path[i], node)) : []);
    const chosen = state.selected;
    const near = new Set(chosen === null ? [] : [chosen]);
    for (const { a, b } of shown.edges) {
      if (a === chosen) near.add(b);
      if (b === chosen) near.add(a);
    }
    const labels = [];
    for (const [edge, group] of elements.edges) {
      const touches = edge.a === chosen || edge.b === chosen;
      const inWalk = walked !== null && walked.has(key(edge.a, edge.b));
      const on = walked !== null ? inWalk : touches;
      group.classList.toggle("happy", main.has(key(edge.a, edge.b)) && walked === null);
      group.classList.toggle("on", on);
      group.classList.toggle("dim", (walked !== null && !on) || (walked === null && chosen !== null && !on) || (state.query !== "" && walked === null && chosen === null));
      if (on || main.has(key(edge.a, edge.b))) group.parentNode.append(group); // above the others
      if (on && walked === null) labels.push(edgeLabel(edge, group, percent(edge.share)));
    }
    for (const [node, group] of elements.nodes) {
      const inWalk = walk !== null && walk.includes(node);
      group.classList.toggle("on", node === chosen || (state.query !== "" && walk === null && matches(node)));
      group.classList.toggle("near", near.has(node));
      group.classList.toggle("dim", walk !== null ? !inWalk : chosen !== null ? !near.has(node) : !matches(node));
    }
    if (walk !== null) labels.push(...walkMarks(walk));
    byId("label-layer").replaceChildren(...labels);
    for (const row of document.querySelectorAll(".side .row")) row.classList.toggle("on", Number(row.dataset.node) === chosen);
    roving();
  };

  const edgeLabel = (edge, group, text) => {
    const line = group.firstChild;
    const point = line.getPointAtLength(line.getTotalLength() * (edge.a === state.selected ? 0.55 : 0.45));
    return draw("text", { x: point.x, y: point.y + 4, "text-anchor": "middle", text });
  };

  // The numbers of the turns at their nodes, and dashes where a dialogue takes a step that is not in the graph.
  const walkMarks = (walk) => {
    const marks = [];
    const there = new Set([...elements.edges.keys()].map(({ a, b }) => key(a, b)));
    const turns = new Map();
    walk.forEach((node, i) => {
      if (isAction(node)) turns.set(node, [...(turns.get(node) ?? []), i]);
      const before = walk[i - 1];
      if (i === 0 || before === node || there.has(key(before, node))) return;
      const [p, q] = [drawn.places.get(before), drawn.places.get(node)];
      const bend = { x: (p.x + q.x) / 2 + (q.y - p.y) * 0.12, y: (p.y + q.y) / 2 - (q.x - p.x) * 0.12 };
      marks.push(draw("path", { d: `M${p.x} ${p.y}Q${bend.x} ${bend.y} ${q.x} ${q.y}`, class: "jump" }));
    });
    for (const [node, numbers] of turns) {
      const { x, y } = drawn.places.get(node);
      const text = numbers.length > 6 ? `${numbers.slice(0, 5).join(", ")}, …` : numbers.join(", ");
      marks.push(draw("text", { x: x + SIZE.width / 2 - 4, y: y - SIZE.height / 2 - 5, "text-anchor": "end", text }));
    }
    return marks;
  };

  const select = (node, { centre = false } = {}) => {
    state.selected = node;
    showDetails();
    emphasise();
    if (centre && node !== null && shown.nodes.has(node)) centreOn(node);
  };

  // The side panel

  const quote = (text) => `“${text}”`;

  const row = (node, label, note, extra = "") => {
    const button = make(
      "button",
      { type: "button", class: `row ${isAction(node) ? `c${speakerOf(node)}` : ""} ${extra}`, "data-node": node },
      make("span", { text: label }),
      make("span", { class: "count", text: note }),
    );
    button.addEventListener("click", () => select(node, { centre: true }));
    return make("li", {}, button);
  };

  const showDetails = () => {
    const box = byId("details");
    const node = state.selected;
    box.hidden = node === null;
    if (node === null) {
      box.replaceChildren();
      return;
    }
    const close = make("button", { type: "button", text: "×", "aria-label": "Close" });
    close.addEventListener("click", () => select(null));
    const parts = [make("div", { class: "heading" }, make("h2", { text: nameOf(node) }), close)];
    if (isAction(node)) {
      const { words, examples } = action(node);
      const count = shown.nodes.get(node) ?? 0;
      parts.push(make("p", { class: "count", text: `${whoOf(node)}, ${times(count)}` }));
      if (words.length > 0) parts.push(make("p", { text: `Words that set it apart: ${words.join(", ")}` }));
      parts.push(make("h3", { text: "Typical utterances" }));
      const shownTexts = examples.map(([text, said]) =>
        make("li", {}, document.createTextNode(quote(data.texts[text])), make("span", { class: "count", text: said > 1 ? ` ${number(said)}×` : "" })),
      );
      parts.push(make("ul", { class: "examples" }, ...shownTexts));
    }
    const link = (title, edges, other) => {
      if (edges.length === 0) return;
      edges.sort((x, y) => y.count - x.count);
      parts.push(make("h3", { text: title }), make("ul", {}, ...edges.map((edge) => row(edge[other], nameOf(edge[other]), `${number(edge.count)} · ${percent(edge.share)}`))));
    };
    link("Then", shown.edges.filter(({ a }) => a === node), "b");
    link("Before (share of steps from there)", shown.edges.filter(({ b }) => b === node), "a");
    box.replaceChildren(...parts);
    if (!narrow.matches) box.parentElement.scrollTop = 0;
  };

  const listActions = () => {
    const counts = new Map();
    for (const [, node, count] of steps()) if (isAction(node)) counts.set(node, (counts.get(node) ?? 0) + count);
    const found = [...counts].filter(([node]) => matches(node)).sort((x, y) => y[1] - x[1] || x[0] - y[0]);
    byId("found").textContent = state.query === "" ? `(${number(found.length)})` : `(${number(found.length)} of ${number(counts.size)})`;
    byId("actions").replaceChildren(...found.map(([node, count]) => row(node, nameOf(node), number(count), shown.nodes.has(node) ? "" : "out")));
  };

  const listTurns = () => {
    const rows = [];
    if (state.followed !== null) {
      const [, left, ...flat] = data.paths[state.followed];
      let visible = 0;
      for (let i = 0; i < flat.length; i += 2) {
        const [node, text] = [flat[i], flat[i + 1]];
        const there = shown.nodes.has(node);
        visible += there ? 1 : 0;
        const item = row(node, data.texts[text], there ? String(visible) : "", there ? "" : "out");
        item.firstChild.firstChild.prepend(make("small", { text: `${whoOf(node)}${there ? "" : " · not in the graph as it is pruned"}` }));
        rows.push(item);
      }
      if (left > 0) rows.push(make("li", { class: "count", text: `… and ${number(left)} turns more` }));
    }
    byId("turns").replaceChildren(...rows);
  };

  const strongest = () => [...shown.edges].sort((x, y) => y.count - x.count || x.a - y.a || x.b - y.b);
  const labelOf = (node) => (isAction(node) ? `${whoOf(node)}: ${nameOf(node)}` : nameOf(node));

  // Filled where it is open: the table of a large graph takes longer than the graph.
  const listNumbers = () => {
    const box = byId("numbers");
    if (!box.open) return;
    const edges = strongest();
    const listed = edges.slice(0, MOST_LISTED);
    const part = listed.length < edges.length ? ` The ${number(listed.length)} most frequent; the CSV export has all.` : "";
    box.querySelector("caption").textContent = `${number(edges.length)} steps of the graph as it is shown.${part}`;
    box.querySelector("tbody").replaceChildren(
      ...listed.map(({ a, b, count, share }) => make(
        "tr", {},
        make("td", { text: labelOf(a) }), make("td", { text: labelOf(b) }),
        make("td", { class: "n", text: number(count) }), make("td", { class: "n", text: percent(share) }),
      )),
    );
  };
  byId("numbers").addEventListener("toggle", listNumbers);

  const follow = (index) => {
    state.followed = index;
    state.selected = null;
    byId("dialogue").value = index === null ? "" : String(index);
    showDetails();
    listTurns();
    emphasise();
    const walk = followedNodes();
    if (walk !== null && walk.length > 0) fit(narrow.matches ? 0.3 : 0.4, walk);
  };

  // Moving about

  const move = () => world.setAttribute("transform", `translate(${state.x} ${state.y}) scale(${state.scale})`);

  // The box around some nodes, or around all and their edges.
  const bounds = (nodes = null) => {
    const places = nodes === null ? [...drawn.places.values()] : nodes.map((node) => drawn.places.get(node));
    if (places.length === 0) return { x: 0, y: 0, width: 1, height: 1 };
    const corners = places.flatMap(({ x, y }) => [
      { x: x - SIZE.width / 2, y: y - SIZE.height / 2 },
      { x: x + SIZE.width / 2, y: y + SIZE.height / 2 },
    ]);
    if (nodes === null) for (const way of drawn.ways.values()) corners.push(...way);
    const box = { x: Infinity, y: Infinity, right: -Infinity, bottom: -Infinity };
    for (const { x, y } of corners) {
      box.x = Math.min(box.x, x);
      box.y = Math.min(box.y, y);
      box.right = Math.max(box.right, x);
      box.bottom = Math.max(box.bottom, y);
    }
    const pad = 44;
    return { x: box.x - pad, y: box.y - pad, width: box.right - box.x + 2 * pad, height: box.bottom - box.y + 2 * pad };
  };

  // The whole graph, or, where it would be too small to read, its beginning.
  const fit = (least, nodes = null) => {
    const box = bounds(nodes);
    const { width, height } = svg.getBoundingClientRect();
    const whole = Math.min(width / box.width, height / box.height, 1.15);
    state.scale = Math.max(whole, least);
    const start = drawn.places.get(nodes === null ? START : nodes[0]) ?? { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const lay = (size, begin, length, anchor) => {
      if (length * state.scale <= size) return (size - length * state.scale) / 2 - begin * state.scale;
      const at = size / 2 - anchor * state.scale;
      return Math.min(-begin * state.scale, Math.max(size - (begin + length) * state.scale, at));
    };
    state.x = lay(width, box.x, box.width, start.x);
    state.y = lay(height, box.y, box.height, start.y);
    move();
  };
  const open = () => fit(narrow.matches ? 0.66 : 0.74);

  const centreOn = (node) => {
    const { x, y } = drawn.places.get(node);
    const { width, height } = svg.getBoundingClientRect();
    state.scale = Math.max(state.scale, 0.7);
    state.x = width / 2 - x * state.scale;
    state.y = height / 2 - y * state.scale;
    move();
  };

  const zoom = (factor, x, y) => {
    const { width, height } = svg.getBoundingClientRect();
    const [cx, cy] = [x ?? width / 2, y ?? height / 2];
    const scale = Math.min(4, Math.max(0.05, state.scale * factor));
    state.x = cx - ((cx - state.x) * scale) / state.scale;
    state.y = cy - ((cy - state.y) * scale) / state.scale;
    state.scale = scale;
    move();
  };

  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)), event.clientX - left, event.clientY - top);
  }, { passive: false });

  const fingers = new Map();
  let travelled = 0;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    fingers.set(event.pointerId, event);
    travelled = fingers.size > 1 ? Infinity : 0;
  });
  svg.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    travelled += Math.abs(dx) + Math.abs(dy);
    if (travelled < 5) return;
    if (!svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    svg.classList.add("moving");
    hideTip();
    if (fingers.size === 2) {
      const other = [...fingers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      const apart = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
      const { left, top } = svg.getBoundingClientRect();
      zoom(apart(event) / Math.max(1, apart(before)), (event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top);
    }
    const part = fingers.size === 2 ? 0.5 : 1;
    state.x += dx * part;
    state.y += dy * part;
    move();
    fingers.set(event.pointerId, event);
  });
  const lift = (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size === 0) svg.classList.remove("moving");
  };
  svg.addEventListener("pointerup", lift);
  svg.addEventListener("pointercancel", lift);
  svg.addEventListener("click", (event) => {
    if (travelled >= 5) return;
    const group = event.target.closest(".node");
    const edge = event.target.closest(".edge");
    if (group !== null) select(group.node === state.selected ? null : group.node);
    else if (edge === null) {
      if (state.followed !== null && state.selected === null) follow(null);
      else select(null);
    }
  });

  // Keys: one stop for the whole graph, arrows within

  let focused = null;
  const roving = () => {
    if (!shown.nodes.has(focused)) focused = shown.nodes.has(START) ? START : null;
    for (const [node, group] of elements.nodes) group.setAttribute("tabindex", node === focused ? "0" : "-1");
  };
  const towards = (from, dx, dy) => {
    const origin = drawn.places.get(from);
    let best = null;
    let least = Infinity;
    for (const [node, { x, y }] of drawn.places) {
      const ahead = (x - origin.x) * dx + (y - origin.y) * dy;
      const aside = Math.abs((x - origin.x) * dy) + Math.abs((y - origin.y) * dx);
      const far = ahead + 2.2 * aside;
      if (node !== from && ahead > 1 && far < least) [best, least] = [node, far];
    }
    return best;
  };
  const focus = (node) => {
    focused = node;
    roving();
    elements.nodes.get(node).focus({ preventScroll: true });
    const { x, y } = drawn.places.get(node);
    const { width, height } = svg.getBoundingClientRect();
    const [px, py] = [x * state.scale + state.x, y * state.scale + state.y];
    if (px < 60 || py < 50 || px > width - 60 || py > height - 70) centreOn(node);
    const box = elements.nodes.get(node).getBoundingClientRect();
    tipFor(elements.nodes.get(node), box.right, box.top);
  };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  svg.addEventListener("keydown", (event) => {
    const at = document.activeElement?.node;
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key];
      const next = at === undefined ? focused : towards(at, dx, dy);
      if (next !== null) focus(next);
    } else if ((event.key === "Enter" || event.key === " ") && at !== undefined) {
      select(at === state.selected ? null : at);
    } else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit(0);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    hideTip();
    if (state.selected !== null) select(null);
    else if (state.followed !== null) follow(null);
  });

  // Tips

  const tip = make("div", { class: "tip", role: "tooltip" });
  tip.hidden = true;
  document.body.append(tip);
  const hideTip = () => { tip.hidden = true; };
  const tipLines = (target) => {
    if (target.edge !== undefined) {
      const { a, b, count, share } = target.edge;
      return [`${nameOf(a)} → ${nameOf(b)}`, `${times(count)}, ${percent(share)} of the steps from there`];
    }
    if (!isAction(target.node)) return null;
    const { examples } = action(target.node);
    return [`${whoOf(target.node)}, ${times(shown.nodes.get(target.node))}`, ...examples.slice(0, 5).map(([text]) => quote(data.texts[text]))];
  };
  const tipFor = (target, x, y) => {
    const lines = tipLines(target);
    if (lines === null) {
      hideTip();
      return;
    }
    tip.replaceChildren(...lines.map((text, i) => make("div", { class: i === 0 ? "head" : "quote", text })));
    tip.hidden = false;
    const [wide, high] = [document.documentElement.clientWidth, innerHeight];
    const left = x + 14 + tip.offsetWidth <= wide - 4 ? x + 14 : x - 14 - tip.offsetWidth;
    const top = y + 14 + tip.offsetHeight <= high - 4 ? y + 14 : y - 14 - tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(left, wide - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, top)}px`;
  };
  svg.addEventListener("pointermove", (event) => {
    if (svg.classList.contains("moving") || event.pointerType === "touch") return;
    const target = event.target.closest(".node, .edge");
    if (target === null) hideTip();
    else tipFor(target, event.clientX, event.clientY);
  });
  svg.addEventListener("pointerleave", hideTip);
  svg.addEventListener("focusout", hideTip);

  // Controls

  const fromSlider = (id) => Math.round(1000 * (Number(byId(id).value) / 100) ** 2) / 1000;
  let waiting = 0;
  const soon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      update();
      open();
    });
  };
  for (const name of ["edges", "nodes"]) {
    byId(name).value = String(100 * Math.sqrt(state.rules[name]));
    byId(name).addEventListener("input", () => {
      state.rules[name] = fromSlider(name);
      soon();
    });
  }
  byId("weigh").value = state.rules.weigh;
  byId("weigh").addEventListener("change", () => {
    state.rules.weigh = byId("weigh").value;
    soon();
  });
  byId("view").addEventListener("change", () => {
    state.view = byId("view").value;
    soon();
  });
  byId("search").addEventListener("input", () => {
    state.query = byId("search").value.trim();
    listActions();
    emphasise();
  });
  document.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const first = byId("actions").querySelector(".row:not(.out)");
    if (first !== null) first.click();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.25));
  byId("zoom-out").addEventListener("click", () => zoom(0.8));
  byId("fit").addEventListener("click", () => fit(0));
  byId("turn").addEventListener("click", () => {
    state.sideways = !state.sideways;
    byId("turn").setAttribute("aria-pressed", String(state.sideways));
    update();
    open();
  });
  byId("happy").addEventListener("click", () => {
    state.happy = !state.happy;
    byId("happy").setAttribute("aria-pressed", String(state.happy));
    emphasise();
  });
  data.paths.forEach(([name], i) => byId("dialogue").append(make("option", { value: i, text: name })));
  byId("dialogue").addEventListener("change", () => follow(byId("dialogue").value === "" ? null : Number(byId("dialogue").value)));
  const other = (by) => {
    const count = data.paths.length;
    follow(state.followed === null ? (by > 0 ? 0 : count - 1) : (state.followed + by + count) % count);
  };
  byId("before").addEventListener("click", () => other(-1));
  byId("next").addEventListener("click", () => other(1));

  // Exports: what the page shows now

  const labels = () => new Map([...shown.nodes.keys()].map((node) => [node, [whoOf(node), nameOf(node)]]));
  const json = () => {
    const nodes = [...shown.nodes].map(([node, count]) => {
      if (!isAction(node)) return { id: node, name: `[${nameOf(node)}]` };
      const { words, examples } = action(node);
      return { id: node, name: nameOf(node), speaker: whoOf(node), count, words, examples: examples.map(([text, said]) => ({ text: data.texts[text], count: said })) };
    });
    const edges = shown.edges.map(({ a, b, count, weight }) => ({ source: a, target: b, count, weight }));
    return `${JSON.stringify({ rules: state.rules, nodes, edges, happy_path: path }, null, 1)}\n`;
  };
  const csv = () => Exports.csv([
    ["from", "to", "times", "share of steps from there"],
    ...strongest().map(({ a, b, count, share }) => [labelOf(a), labelOf(b), count, share]),
  ]);
  const picture = () => {
    const box = bounds();
    return [Exports.picture(svg, box, getComputedStyle(document.body).backgroundColor), box];
  };
  const made = {
    csv: async () => new Blob([csv()], { type: "text/csv" }),
    json: async () => new Blob([json()], { type: "application/json" }),
    mmd: async () => new Blob([Exports.mermaid(labels(), shown.edges)], { type: "text/plain" }),
    dot: async () => new Blob([Exports.dot(labels(), shown.edges)], { type: "text/plain" }),
    svg: async () => new Blob([picture()[0]], { type: "image/svg+xml" }),
    png: async () => Exports.png(...picture()),
  };
  byId("export").addEventListener("change", async () => {
    const format = byId("export").value;
    byId("export").value = "";
    if (format === "") return;
    try {
      Exports.save(`flow.${format}`, await made[format]());
    } catch (error) {
      byId("status").textContent = `The export failed: ${error.message}`;
    }
  });

  // Paper gets the whole graph, whatever part of it the window shows.
  addEventListener("beforeprint", () => {
    const { x, y, width, height } = bounds();
    svg.setAttribute("viewBox", [x, y, width, height].join(" "));
    world.removeAttribute("transform");
  });
  addEventListener("afterprint", () => {
    svg.removeAttribute("viewBox");
    move();
  });

  // The graph has the window's height, less what stands above it.
  const above = () => {
    const bars = [document.querySelector(".top"), document.querySelector(".tools")];
    document.documentElement.style.setProperty("--above", `${bars.reduce((sum, bar) => sum + bar.offsetHeight, 0)}px`);
  };
  addEventListener("resize", above);
  above();
  update();
  open();
})();
