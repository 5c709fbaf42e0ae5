/** The websocket: its frames, how it ends, and a console to try it. */

import { element, inline, json, paragraphs } from "./element.js";
import { makeConsole } from "./console.js";
import { exampleOf, fields } from "./schema.js";

/** The frames of one side. @param {any} document @param {string} side @returns {[string, any][]} */
export function frames(document, side) {
  const all = Object.entries(document.components.messages);
  return all.filter(([key]) => key.startsWith(`${side}.`));
}

/** @param {any} document */
export function showSocket(document) {
  const types = document.components.schemas;
  const channel = document.channels.socket;
  const examples = frames(document, "client").map(([, { name, payload }]) => {
    return { name, example: exampleOf(payload, types) };
  });
  return [
    element("h2", { id: "socket-title" }, "Websocket ", element("code", {}, channel.address)),
    ...paragraphs(document.info.description),
    element("h3", { id: "console", class: "topic" }, "Console"),
    makeConsole(channel.address, examples),
    ...side(document, "client", "What a client says"),
    ...side(document, "server", "What the server says"),
    element("h3", { id: "closing", class: "topic" }, "How it ends"),
    element("p", {}, ...inline(channel.description.split("\n\n")[0])),
    closing(channel["x-close-codes"]),
  ];
}

/** @param {any} document @param {string} side @param {string} heading */
function side(document, side, heading) {
  return [
    element("h3", { id: `frames.${side}`, class: "topic" }, heading),
    ...frames(document, side).map(([key, message]) => showFrame(document, key, message)),
  ];
}

/** @param {any} document @param {string} key @param {any} message */
function showFrame(document, key, message) {
  const types = document.components.schemas;
  const reply = key.startsWith("client.") ? document.operations[message.name].reply.messages : [];
  const answers = reply.map(({ $ref }) => $ref.split("/").at(-1));
  const links = answers.flatMap((answer, at) => [
    at ? " or " : "",
    element("a", { href: `#${answer}` }, answer.split(".")[1]),
  ]);
  return element(
    "article",
    { class: "card", id: key, "aria-labelledby": `${key}.title` },
    element(
      "h4",
      { class: "operation", id: `${key}.title` },
      element("span", { class: "method" }, key.startsWith("client.") ? "→" : "←"),
      " ",
      element("code", {}, message.name),
    ),
    ...paragraphs(message.summary),
    fields(message.payload, types, { deep: key.startsWith("client.") }),
    links.length ? element("p", {}, answers.length > 1 ? "Answered by " : "Refused by ", ...links, ".") : null,
    json(exampleOf(message.payload, types), `Example of ${message.name}`),
  );
}

/** @param {{ code: number, meaning: string, reconnect: boolean }[]} codes */
function closing(codes) {
  return element(
    "ul",
    { class: "errors" },
    ...codes.map(({ code, meaning, reconnect }) =>
      element(
        "li",
        {},
        element("strong", { class: reconnect ? "warn" : "bad" }, String(code)),
        element("p", {}, ...inline(meaning)),
      ),
    ),
  );
}
