/** The HTTP interface: each operation, by topic. */

import { element, inline, paragraphs } from "./element.js";
import { fields, row } from "./schema.js";
import { trying } from "./trying.js";

/** @typedef {{ method: string, path: string, operation: any }} Found */

/** All operations, by topic. @param {any} document @returns {[string, Found[]][]} */
export function topics(document) {
  const all = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(/** @type {Record<string, any>} */ (operations)).map(([method, operation]) => {
      return { method: method.toUpperCase(), path, operation };
    }),
  );
  return document.tags.map(({ name }) => [name, all.filter(({ operation }) => operation.tags.includes(name))]);
}

/** @param {any} document */
export function showHttp(document) {
  const sections = topics(document).map(([name, operations]) =>
    element(
      "section",
      { "aria-labelledby": `topic.${name}` },
      element("h3", { id: `topic.${name}`, class: "topic" }, name),
      ...operations.map((each) => showOperation(each, document.components.schemas)),
    ),
  );
  return [element("h2", { id: "http-title" }, "HTTP"), ...paragraphs(document.info.description), ...sections];
}

/** @param {Found} found @param {Record<string, any>} types */
function showOperation({ method, path, operation }, types) {
  const body = operation.requestBody?.content["application/json"].schema;
  return element(
    "article",
    { class: "card", id: operation.operationId, "aria-labelledby": `${operation.operationId}.title` },
    element(
      "h4",
      { class: "operation", id: `${operation.operationId}.title` },
      element("span", { class: `method ${method.toLowerCase()}` }, method),
      " ",
      element("code", {}, path),
    ),
    element("p", { class: "summary" }, operation.summary),
    ...paragraphs(operation.description),
    ...showParameters(operation),
    ...(body ? showBody(operation.requestBody, body, types) : []),
    ...showAnswers(operation, types),
    ...trying(method, path, operation, types),
  );
}

/** @param {any} operation */
function showParameters(operation) {
  if (!operation.parameters) return [];
  const rows = operation.parameters.map((each) =>
    row(each.name, { ...each.schema, description: each.description }, each.required, null, each.in),
  );
  return [element("h5", {}, "Parameters"), element("ul", { class: "fields" }, ...rows)];
}

/** @param {any} request @param {any} schema @param {Record<string, any>} types */
function showBody(request, schema, types) {
  const heading = element("h5", {}, request.required ? "Body" : "Body, which may be left out");
  const arms = (schema.oneOf ?? [schema]).map((arm) => fields(arm, types, { deep: true }));
  return [heading, ...arms.flatMap((arm, at) => (at ? [element("p", { class: "quiet" }, "or"), arm] : [arm]))];
}

/** @param {any} operation @param {Record<string, any>} types */
function showAnswers(operation, types) {
  const [good, bad] = [[], []];
  for (const [status, reply] of Object.entries(operation.responses)) {
    if (status < "400") good.push(showGood(status, reply, types));
    else bad.push(...showBad(status, /** @type {any} */ (reply)));
  }
  return [
    element("h5", {}, "Answers"),
    ...good,
    element(
      "details",
      {},
      element("summary", {}, `Errors (${bad.length})`),
      element("ul", { class: "errors" }, ...bad),
    ),
  ];
}

/** @param {string} status @param {any} reply @param {Record<string, any>} types */
function showGood(status, reply, types) {
  const schema = reply.content?.["application/json"]?.schema;
  const names = Object.keys(reply.headers ?? {}).map((name) => `\`${name}\``).join(", ");
  return element(
    "div",
    { class: "reply" },
    element("p", {}, element("strong", { class: "good" }, status), " ", ...inline(reply.description)),
    names ? element("p", { class: "quiet" }, ...inline(`Headers: ${names}`)) : null,
    schema?.$ref ? element("details", {}, element("summary", {}, "Its fields"), fields(schema, types)) : null,
  );
}

/** @param {string} status @param {any} reply */
function showBad(status, reply) {
  const codes = reply.content["application/problem+json"].schema.properties.code.enum;
  const meanings = reply.description.split("\n\n").map((line) => line.replace(/^`[^`]+`: /, ""));
  return codes.map((code, at) =>
    element(
      "li",
      {},
      element("span", { class: "status" }, status),
      " ",
      element("a", { href: `/problems/${code}` }, code),
      element("p", {}, ...inline(meanings[at])),
    ),
  );
}
