/** Elements: found by their id, or made after a template of the page. Text is always set as text, never as markup. */

/** @param {string} id @returns {any} */
export function find(id) {
  return document.getElementById(id);
}

/** A copy of what is in a template. @param {string} id @returns {any} */
export function copy(id) {
  return find(id).content.cloneNode(true);
}

/** Initials on a colour of one's own, for a user or a conversation. @param {HTMLElement} face @param {string} name */
export function paintFace(face, name) {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const initials = words.length > 1 ? words.slice(0, 2).map((word) => [...word][0]) : [...(words[0] ?? "·")].slice(0, 2);
  face.textContent = initials.join("");
  face.style.setProperty("--hue", hueOf(name));
}

/** One colour a name, far from those of names alike. @param {string} name */
export function hueOf(name) {
  let hash = 0x811c9dc5;
  for (const letter of name) {
    hash = Math.imul(hash ^ /** @type {number} */ (letter.codePointAt(0)), 0x01000193);
    hash ^= hash >>> 13;
  }
  return String(((hash >>> 0) % 24) * 15);
}

/** @param {SVGElement} svg @param {string} symbol */
export function setIcon(svg, symbol) {
  svg.firstElementChild?.setAttribute("href", `#${symbol}`);
}
