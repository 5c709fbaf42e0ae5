/** Elements, made from what the documents say. Text is always set as text, never as markup. */

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on…` are listeners; those that are null or false are left out
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const MARKS = /`([^`]+)`|\[([^\]]+)\]\(([^)]+)\)/g;

/** A line of Markdown: code and links are all that occurs in the documents. @param {string} text @returns {Node[]} */
export function inline(text) {
  const nodes = [];
  let at = 0;
  for (const mark of text.matchAll(MARKS)) {
    nodes.push(text.slice(at, mark.index));
    nodes.push(mark[1] ? element("code", {}, mark[1]) : element("a", { href: mark[3] }, mark[2]));
    at = mark.index + mark[0].length;
  }
  nodes.push(text.slice(at));
  return nodes.filter(Boolean).map((part) => (typeof part === "string" ? document.createTextNode(part) : part));
}

/** Paragraphs of Markdown. @param {string} [text] @returns {HTMLElement[]} */
export function paragraphs(text = "") {
  return text.split(/\n\n+/).filter(Boolean).map((part) => element("p", {}, ...inline(part.replaceAll("\n", " "))));
}

/** JSON as one reads it, in a block that can be moved without a mouse. @param {any} value @param {string} label */
export function json(value, label) {
  return block(JSON.stringify(value, null, 2), label);
}

/** @param {string} text @param {string} label */
export function block(text, label) {
  return element("pre", { tabindex: "0", role: "region", "aria-label": label }, element("code", {}, text));
}
