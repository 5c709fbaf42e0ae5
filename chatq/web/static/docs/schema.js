/** Schemas in words, and as lists of fields. */

import { element, inline } from "./element.js";

/** The name of the type that a reference leads to. @param {any} schema @returns {string | undefined} */
export function nameOf(schema) {
  return schema?.$ref?.split("/").at(-1);
}

/** What a value is, with links to the types. @param {any} schema @returns {Node[]} */
function describeType(schema) {
  const name = nameOf(schema);
  if (name) return [element("a", { href: `#type.${name}` }, name)];
  const arms = schema.anyOf ?? schema.oneOf;
  if (arms) return arms.flatMap((arm, at) => (at ? [text(" or "), ...describeType(arm)] : describeType(arm)));
  if (schema.enum) {
    return schema.enum.flatMap((value, at) => [text(at ? " or " : ""), element("code", {}, JSON.stringify(value))]);
  }
  if (schema.type === "array") return [text("list of "), ...describeType(schema.items ?? {})];
  const values = schema.additionalProperties;
  if (schema.type === "object" && values instanceof Object) return [text("object of "), ...describeType(values)];
  const types = [schema.type ?? "anything"].flat();
  return [text(types.map((type) => (type === "string" && schema.format === "date-time" ? "time" : type)).join(" or "))];
}

/**
 * The fields of an object. With `deep`, those of the objects in it follow them.
 * @param {any} schema @param {Record<string, any>} types @param {{ deep?: boolean }} [options]
 */
export function fields(schema, types, { deep = false } = {}) {
  const found = types[nameOf(schema) ?? ""] ?? schema;
  const rows = Object.entries(found.properties ?? {}).map(([name, field]) => {
    const inner = deep && types[nameOf(field) ?? ""];
    return row(name, field, found.required?.includes(name), inner ? fields(inner, types, { deep }) : null);
  });
  return rows.length ? element("ul", { class: "fields" }, ...rows) : element("p", { class: "quiet" }, "No fields.");
}

/**
 * @param {string} name @param {any} schema @param {boolean} required @param {Node | null} [inner]
 * @param {string} [place] where a parameter stands
 */
export function row(name, schema, required, inner = null, place = "") {
  const about = schema.description;
  return element(
    "li",
    {},
    element(
      "div",
      { class: "field" },
      element("code", {}, name),
      element("span", { class: "type" }, ...describeType(schema)),
      place ? element("span", { class: "type" }, `in the ${place}`) : null,
      required ? element("span", { class: "tag" }, "required") : null,
    ),
    about ? element("p", {}, ...inline(about.replaceAll("\n", " "))) : null,
    inner,
  );
}

/** An example of what a schema describes. @param {any} schema @param {Record<string, any>} types */
export function exampleOf(schema, types) {
  return types[nameOf(schema.oneOf?.[0] ?? schema) ?? ""]?.examples?.[0];
}

/** @param {string} content */
function text(content) {
  return document.createTextNode(content);
}
