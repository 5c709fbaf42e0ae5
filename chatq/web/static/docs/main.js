/** The page at /docs: made from what /openapi.json and /asyncapi.json say. */

import { element, paragraphs } from "./element.js";
import { showHttp, topics } from "./http.js";
import { askWho } from "./identity.js";
import { fields } from "./schema.js";
import { frames, showSocket } from "./socket.js";

/** @param {string} address */
async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer.json();
}

/** @param {Record<string, any>} types */
function showTypes(types) {
  const shown = Object.entries(types).map(([name, schema]) =>
    element(
      "article",
      { class: "card", id: `type.${name}`, "aria-labelledby": `type.${name}.title` },
      element("h3", { class: "operation", id: `type.${name}.title` }, element("code", {}, name)),
      ...paragraphs(schema.description),
      fields(schema, types),
    ),
  );
  return [element("h2", { id: "types-title" }, "Types"), ...shown];
}

/** @param {string} href @param {string} text @param {[string, string | Node][]} entries */
function part(href, text, entries) {
  return element(
    "li",
    {},
    element("a", { href }, text),
    element("ul", {}, ...entries.map(([target, name]) => element("li", {}, element("a", { href: target }, name)))),
  );
}

/** @param {any} http @param {any} socket */
function showContents(http, socket) {
  const parts = topics(http).map(([name, operations]) =>
    part(`#topic.${name}`, name, operations.map(({ operation }) => [`#${operation.operationId}`, operation.summary])),
  );
  const said = (/** @type {string} */ side) => frames(socket, side).map(([key, { name }]) => [`#${key}`, name]);
  return element(
    "ul",
    {},
    ...parts,
    part("#socket-title", "Websocket", [["#console", "Console"], ["#closing", "How it ends"]]),
    part("#frames.client", "What a client says", /** @type {any} */ (said("client"))),
    part("#frames.server", "What the server says", /** @type {any} */ (said("server"))),
    part("#types-title", "Types", []),
    part("/problems", "Codes of errors", []),
  );
}

/** @param {string} id @param {Node[]} content */
function fill(id, content) {
  document.getElementById(id)?.replaceChildren(...content);
}

/** Show what the address points to, which was not there when the page was loaded. */
function goToPart() {
  // Anybody may write a link: unlike decodeURIComponent, this bears a percent sign that encodes nothing.
  const id = new URLSearchParams(`id=${location.hash.slice(1)}`).get("id") ?? "";
  document.getElementById(id)?.scrollIntoView();
}

const folded = /** @type {HTMLDetailsElement} */ (document.getElementById("folded"));
// As in docs.css: there they stand beside the text, and nothing is shown that unfolds them.
const wide = matchMedia("(min-width: 60rem)");
folded.open = wide.matches;
wide.addEventListener("change", () => {
  folded.open = wide.matches;
});
folded.addEventListener("click", ({ target }) => {
  if (/** @type {Element} */ (target).closest("a") && !wide.matches) folded.open = false;
});
try {
  const [http, socket] = await Promise.all([load("/openapi.json"), load("/asyncapi.json")]);
  fill("version", [document.createTextNode(http.info.version)]);
  fill("contents", [showContents(http, socket)]);
  fill("http", showHttp(http));
  fill("socket", showSocket(socket));
  fill("types", showTypes({ ...http.components.schemas, ...socket.components.schemas }));
  askWho("token" in http.components.securitySchemes);
  goToPart();
} catch (error) {
  const fault = /** @type {HTMLElement} */ (document.getElementById("fault"));
  fault.textContent = `The documents of the interface could not be loaded: ${error}`;
  fault.hidden = false;
}
