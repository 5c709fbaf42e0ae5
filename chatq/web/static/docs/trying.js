/** A request to try: what it carries, the same as a command for curl, and what the server answers. */

import { block, element } from "./element.js";
import { headers, whenWhoChanges } from "./identity.js";
import { exampleOf } from "./schema.js";

/**
 * @param {string} method @param {string} path @param {any} operation @param {Record<string, any>} types
 * @returns {Node[]}
 */
export function trying(method, path, operation, types) {
  const content = operation.requestBody?.content["application/json"];
  const parameters = (operation.parameters ?? []).map((each) => parameterInput(operation, each));
  const body = content ? bodyInput(operation, exampleOf(content.schema, types)) : null;
  const command = block("", `curl command of ${operation.operationId}`);
  const answer = element("div", { class: "answer", role: "status" });

  const request = () => requestOf(method, path, parameters, body?.input.value);
  const show = () => {
    command.firstChild.textContent = asCurl(request());
  };
  const form = element(
    "form",
    {
      oninput: show,
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        answer.replaceChildren(element("p", { class: "quiet" }, "Waiting for the answer…"));
        answer.replaceChildren(...(await send(request(), operation)));
      },
    },
    ...parameters.map(({ box }) => box),
    body?.box,
    element("button", { class: "first" }, `Send ${method} request`),
  );
  whenWhoChanges(show);
  show();
  return [
    element("h5", {}, "As a command"),
    command,
    element("details", { class: "try" }, element("summary", {}, "Try it"), form, answer),
  ];
}

/** @param {any} operation @param {any} parameter */
function parameterInput(operation, parameter) {
  const id = `try.${operation.operationId}.${parameter.name}`;
  const value = parameter.required ? (parameter.example ?? "") : "";
  const input = element("input", { id, value, required: parameter.required, autocomplete: "off", spellcheck: "false" });
  input.dataset.parameter = parameter.name;
  const label = element("label", { for: id }, parameter.name);
  return { parameter, input, box: element("div", { class: "input" }, label, input) };
}

/** @param {any} operation @param {any} example */
function bodyInput(operation, example) {
  const id = `try.${operation.operationId}.body`;
  const text = JSON.stringify(example, null, 2);
  const input = element("textarea", { id, rows: Math.min(text.split("\n").length + 1, 16), spellcheck: "false" }, text);
  return { input, box: element("div", { class: "input" }, element("label", { for: id }, "Body"), input) };
}

/**
 * @param {string} method @param {string} path @param {{ parameter: any, input: any }[]} parameters
 * @param {string | undefined} body
 */
function requestOf(method, path, parameters, body) {
  const query = new URLSearchParams();
  const all = headers();
  if (body !== undefined) all["Content-Type"] = "application/json";
  for (const { parameter, input } of parameters) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value && parameter.in === "query") query.set(parameter.name, input.value);
    else if (input.value) all[parameter.name] = input.value;
  }
  const url = `${location.origin}${path}${query.size ? `?${query}` : ""}`;
  return { method, url, headers: all, body };
}

/** @typedef {{ method: string, url: string, headers: Record<string, string>, body?: string }} Request */

/** @param {Request} request */
function asCurl({ method, url, headers: all, body }) {
  const lines = [`curl -i ${method === "GET" ? "" : `-X ${method} `}${quoted(url)}`];
  for (const [name, value] of Object.entries(all)) {
    lines.push(`-H ${name === "Authorization" ? '"Authorization: Bearer $TOKEN"' : quoted(`${name}: ${value}`)}`);
  }
  if (body !== undefined) lines.push(`--data-raw ${quoted(body)}`); // -d would take what begins with @ for a file's name
  return lines.join(" \\\n     ");
}

/** @param {string} text */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {Request} request @param {any} operation */
async function send({ url, ...request }, operation) {
  let answer;
  let text;
  try {
    answer = await fetch(url, { ...request, cache: "no-store" });
    text = await answer.text();
  } catch (error) {
    return [element("p", { class: "bad" }, `There was no answer: ${error}`)];
  }
  const document = parsed(answer, text);
  remember(document);
  const code = document?.code;
  return [
    element("p", {}, element("strong", { class: answer.ok ? "good" : "bad" }, `${answer.status} ${answer.statusText}`)),
    code ? element("p", {}, "See ", element("a", { href: `/problems/${code}` }, `what ${code} means`), ".") : null,
    block([...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n"), "Headers of the answer"),
    text ? block(readable(document, text), `Body of the answer to ${operation.operationId}`) : null,
  ].filter((part) => part !== null);
}

/** @param {Response} answer @param {string} text */
function parsed(answer, text) {
  return answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : undefined;
}

/** @param {any} document @param {string} text */
function readable(document, text) {
  return document ? JSON.stringify(document, null, 2) : text;
}

/** Put the ids of a message that was just sent where they can be asked after. @param {any} document */
function remember(document) {
  for (const name of ["messageId", "jobId"]) {
    if (!document?.[name]) continue;
    for (const input of window.document.querySelectorAll(`input[data-parameter="${name}"]`)) {
      /** @type {HTMLInputElement} */ (input).value = document[name];
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}
