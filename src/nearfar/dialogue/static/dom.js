"use strict";
// Elements of HTML and SVG. Texts of the dialogues are set as text, never as HTML.
const Dom = (() => {
  const fill = (element, { text, ...attributes }, children) => {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  };
  const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const byId = (id) => document.getElementById(id);

  return { html, svg, byId };
})();
