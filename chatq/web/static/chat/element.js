/** Elements: found by their id, or made after a template of the page. Text is always set as text, never as markup. */

/** @param {string} id @returns {any} */
export function find(id) {
  return document.getElementById(id);
}

/** A copy of what is in a template. @param {string} id @returns {any} */
export function copy(id) {
  return find(id).content.cloneNode(true);
}

/** Two letters on a colour of one's own, for a user or a conversation. @param {HTMLElement} face @param {string} name */
export function paintFace(face, name) {
  const letters = [...name.replace(/[^\p{L}\p{N}]+/gu, " ").trim()];
  face.textContent = letters.slice(0, 2).join("").trim() || "·";
  // Golden angles lie far apart, however few there are.
  const sum = [...name].reduce((hash, letter) => (hash * 31 + /** @type {number} */ (letter.codePointAt(0))) >>> 0, 7);
  face.style.setProperty("--hue", String(Math.round((sum * 137.508) % 360)));
}

/** @param {SVGElement} svg @param {string} symbol */
export function setIcon(svg, symbol) {
  svg.firstElementChild?.setAttribute("href", `#${symbol}`);
}
