"use strict";
// The graph as shown, in the formats of nearfar.dialogue.exports, as an image, and as a table.
const Exports = (() => {
  const flat = (text) => text.split(/\s+/u).filter((word) => word !== "").join(" ");

  const mermaidText = (text) => flat(text).replace(/["#&<>;`*_~[\]{}|\\^$%]/gu, (mark) => `#${mark.codePointAt(0)};`);

  const mermaid = (labels, edges) => {
    const lines = ["flowchart TD"];
    for (const [node, [speaker, name]] of labels) {
      const text = mermaidText(speaker === "" ? name : `${speaker}: ${name}`);
      lines.push(node < Graph.FIRST ? `  n${node}(["${text}"])` : `  n${node}["${text}"]`);
    }
    for (const { a, b, count } of edges) lines.push(`  n${a} -->|${count}| n${b}`);
    return `${lines.join("\n")}\n`;
  };

  const dotText = (text) => flat(text).replaceAll("&", "&amp;").replaceAll("\\", "\\\\").replaceAll('"', '\\"');

  const dot = (labels, edges) => {
    const lines = ["digraph flow {", '  node [shape=box, style=rounded, fontname="sans-serif"];'];
    for (const [node, [speaker, name]] of labels) {
      const text = speaker === "" ? dotText(name) : `${dotText(speaker)}:\\n${dotText(name)}`;
      lines.push(`  n${node} [label="${text}"${node < Graph.FIRST ? ", shape=oval" : ""}];`);
    }
    for (const { a, b, count } of edges) lines.push(`  n${a} -> n${b} [label="${count}"];`);
    return `${[...lines, "}"].join("\n")}\n`;
  };

  const STYLES = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "fill-opacity", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor"];

  // A copy of an SVG that needs no style sheet: the computed styles are written into every element.
  const image = (svg, box, background) => {
    const copy = svg.cloneNode(true);
    const from = svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, i) => {
      const style = getComputedStyle(from[i]);
      if (style.display === "none") {
        element.setAttribute("data-gone", "");
        return;
      }
      for (const name of STYLES) {
        const value = style.getPropertyValue(name);
        if (value !== "" && element.tagName !== "g") element.setAttribute(name, value);
      }
      for (const name of ["class", "tabindex", "role", "aria-label"]) element.removeAttribute(name);
    });
    copy.querySelectorAll("[data-gone]").forEach((element) => element.remove());
    copy.querySelector("g").setAttribute("transform", "");
    for (const name of [...copy.getAttributeNames()]) copy.removeAttribute(name);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("viewBox", [box.x, box.y, box.width, box.height].join(" "));
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ ...box, fill: background })) ground.setAttribute(name, value);
    copy.prepend(ground);
    return new XMLSerializer().serializeToString(copy);
  };

  // An SVG as PNG, at twice its size if a canvas can be that large.
  const png = async (text, box) => {
    const source = new Image();
    source.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await source.decode();
    const scale = Math.min(2, 8000 / box.width, 8000 / box.height);
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(box.width * scale);
    canvas.height = Math.ceil(box.height * scale);
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    return new Promise((done, fail) => {
      canvas.toBlob((blob) => (blob === null ? fail(new Error("the image is too large")) : done(blob)), "image/png");
    });
  };

  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // Texts come from data, and a spreadsheet executes a text that begins like a formula.
  const cell = (value) => {
    if (typeof value !== "string") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  const csv = (rows) => rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");

  return { mermaid, dot, image, png, csv, save };
})();
