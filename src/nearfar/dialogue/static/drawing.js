"use strict";
// The drawing of the graph: boxes, edges, labels, and the classes that highlight them.
const Drawing = (() => {
  // A text in at most `lines` lines of at most `width` by `measure`; the last line is truncated with an ellipsis.
  const wrapped = (text, width, lines, measure) => {
    const broken = [];
    let left = text;
    while (left !== "" && broken.length < lines) {
      const whole = [...left];
      let fits = 0;
      while (fits < whole.length && fits < 200 && measure(whole.slice(0, fits + 1).join("")) <= width) fits++;
      if (fits === whole.length) {
        broken.push(left);
        return broken;
      }
      let head = whole.slice(0, Math.max(1, fits)).join("");
      const space = head.lastIndexOf(" ");
      if (broken.length === lines - 1) {
        while (head !== "" && measure(`${head}…`) > width) head = [...head].slice(0, -1).join("");
        broken.push(`${head.trimEnd()}…`);
        return broken;
      }
      if (whole[fits] !== " " && space > 0) head = head.slice(0, space);
      broken.push(head.trim());
      left = left.slice(head.length).trimStart();
    }
    return broken;
  };

  const create = (model) => {
    const { graph, state } = model;
    const { width, height } = Model.NODE;
    const family = getComputedStyle(document.body).fontFamily;
    const pen = document.createElement("canvas").getContext("2d");
    const layers = { edges: Dom.byId("edge-layer"), nodes: Dom.byId("node-layer"), labels: Dom.byId("label-layer") };
    const elements = { nodes: new Map(), edges: new Map() };

    const lines = (text, size, room, most) => {
      pen.font = `${size}px ${family}`;
      return wrapped(text, room, most, (part) => pen.measureText(part).width);
    };

    const kind = (rate) => (Changes.changed(rate) ? `k-${rate.kind}` : "");

    const endBox = (node) => {
      const { x, y } = graph.places.get(node);
      const name = model.nameOf(node);
      return Dom.svg(
        "g",
        { class: "node", transform: `translate(${x} ${y})`, tabindex: "-1", role: "button", "aria-label": name },
        Dom.svg("rect", { class: "ends", x: -44, y: -16, width: 88, height: 32, rx: 16 }),
        Dom.svg("text", { "text-anchor": "middle", y: 4.5, class: "name", text: name }),
      );
    };

    // An action's box; the length of the bar at its foot is its count relative to the most frequent action's.
    const actionBox = (node, count, most) => {
      const { x, y } = graph.places.get(node);
      const name = lines(model.nameOf(node), 13, width - 22, 2);
      const [who] = lines(model.whoOf(node), 11, width - 90, 1);
      const first = name.length === 1 ? -4 : -12;
      const [left, top, bottom] = [-width / 2, -height / 2, height / 2];
      return Dom.svg(
        "g",
        {
          class: `node c${model.speakerOf(node)} ${kind(model.changes.action(node))}`,
          transform: `translate(${x} ${y})`,
          tabindex: "-1",
          role: "button",
          "aria-label": `${model.labelOf(node)}, ${Model.times(count)}`,
        },
        Dom.svg("rect", { class: "box", x: left, y: top, width, height, rx: 6 }),
        Dom.svg("path", { class: "bar", d: `M${left + 6} ${top}h-0.5a5.5 5.5 0 0 0 -5.5 5.5v${height - 11}a5.5 5.5 0 0 0 5.5 5.5h0.5z` }),
        Dom.svg("rect", { class: "often", x: left + 12, y: bottom - 5, width: Math.max(2, ((width - 20) * count) / most), height: 2.5 }),
        ...name.map((text, i) => Dom.svg("text", { class: "name", x: left + 13, y: first + 16 * i, text })),
        Dom.svg("text", { class: "who", x: left + 13, y: bottom - 10, text: who ?? "" }),
        Dom.svg("text", { class: "who", x: width / 2 - 8, y: bottom - 10, "text-anchor": "end", text: Model.number(count) }),
      );
    };

    const edgeLine = (edge, port, most) => {
      const thick = 1.1 + 5.4 * Math.sqrt(edge.count / most);
      const { line, head } = Edges.curve(edge, graph.ways.get(edge), port, thick, Model.NODE, state.sideways);
      return Dom.svg(
        "g",
        { class: `edge ${kind(model.changes.step(edge.a, edge.b))}` },
        Dom.svg("path", { d: line, "stroke-width": thick.toFixed(2) }),
        Dom.svg("path", { d: head, class: "head" }),
        Dom.svg("path", { d: line, class: "catch" }),
      );
    };

    const paint = () => {
      const heaviest = Math.max(1, ...graph.drawn.map((edge) => edge.count));
      const commonest = Math.max(1, ...[...graph.nodes].filter(([node]) => Model.isAction(node)).map(([, count]) => count));
      const ports = Edges.ports(graph.drawn, graph.ways, Model.NODE, state.sideways);
      elements.edges = new Map(graph.drawn.map((edge) => [edge, edgeLine(edge, ports.get(edge), heaviest)]));
      elements.nodes = new Map([...graph.nodes].map(([node, count]) => [node, Model.isAction(node) ? actionBox(node, count, commonest) : endBox(node)]));
      for (const [edge, group] of elements.edges) group.edge = edge;
      for (const [node, group] of elements.nodes) group.node = node;
      layers.edges.replaceChildren(...elements.edges.values());
      layers.nodes.replaceChildren(...elements.nodes.values());
    };

    const edgeLabel = (edge, group) => {
      const line = group.firstChild;
      const rate = model.changes.step(edge.a, edge.b);
      const point = line.getPointAtLength(line.getTotalLength() * (edge.a === state.selected ? 0.55 : 0.45));
      return Dom.svg("text", { x: point.x, y: point.y + 4, "text-anchor": "middle", text: rate === null ? Model.percent(edge.share) : Changes.ratio(rate) });
    };

    // The numbers of the turns at their nodes, and dashes for a step of the dialogue that is not in the graph.
    const walkMarks = (walk) => {
      const marks = [];
      const there = new Set(graph.drawn.map(({ a, b }) => `${a} ${b}`));
      const turns = new Map();
      walk.forEach((node, i) => {
        if (Model.isAction(node)) turns.set(node, [...(turns.get(node) ?? []), i]);
        const before = walk[i - 1];
        if (i === 0 || before === node || there.has(`${before} ${node}`)) return;
        const [p, q] = [graph.places.get(before), graph.places.get(node)];
        const bend = { x: (p.x + q.x) / 2 + (q.y - p.y) * 0.12, y: (p.y + q.y) / 2 - (q.x - p.x) * 0.12 };
        marks.push(Dom.svg("path", { d: `M${p.x} ${p.y}Q${bend.x} ${bend.y} ${q.x} ${q.y}`, class: "jump" }));
      });
      for (const [node, numbers] of turns) {
        const { x, y } = graph.places.get(node);
        const text = numbers.length > 6 ? `${numbers.slice(0, 5).join(", ")}, …` : numbers.join(", ");
        marks.push(Dom.svg("text", { x: x + width / 2 - 4, y: y - height / 2 - 5, "text-anchor": "end", text }));
      }
      return marks;
    };

    const emphasise = () => {
      const found = model.emphasis();
      const labels = [];
      for (const [edge, { happy, above, on, dim }] of found.edges) {
        const group = elements.edges.get(edge);
        for (const [name, value] of Object.entries({ happy, on, dim })) group.classList.toggle(name, value);
        if (above) layers.edges.append(group);
        if (on && found.walk === null) labels.push(edgeLabel(edge, group));
      }
      for (const [node, classes] of found.nodes) {
        for (const [name, value] of Object.entries(classes)) elements.nodes.get(node).classList.toggle(name, value);
      }
      if (found.walk !== null) labels.push(...walkMarks(found.walk));
      layers.labels.replaceChildren(...labels);
    };

    return { elements, paint, emphasise };
  };

  return { wrapped, create };
})();
