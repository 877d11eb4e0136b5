"use strict";
// The graph that is shown, as other programs read it: the formats of nearfar.dialogue.exports.
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

  const SHOWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "fill-opacity", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor"];

  // A copy of a picture that needs no style sheet: what the styles come to is written into every element.
  const picture = (svg, box, background) => {
    const copy = svg.cloneNode(true);
    const from = svg.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, i) => {
      const style = getComputedStyle(from[i]);
      if (style.display === "none") {
        element.setAttribute("data-gone", "");
        return;
      }
      for (const name of SHOWN) {
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

  // A picture as PNG, at twice its size where a canvas can be so large.
  const png = async (text, box) => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const scale = Math.min(2, 8000 / box.width, 8000 / box.height);
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(box.width * scale);
    canvas.height = Math.ceil(box.height * scale);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done, fail) => {
      canvas.toBlob((blob) => (blob === null ? fail(new Error("the picture is too large")) : done(blob)), "image/png");
    });
  };

  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // A spreadsheet takes a text that begins like a formula for one, and these texts come from data.
  const cell = (value) => {
    if (typeof value !== "string") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  const csv = (rows) => rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");

  return { mermaid, dot, picture, png, csv, save };
})();
