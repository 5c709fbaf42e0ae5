/** A websocket by hand: connect, write a frame, see what comes. */

import { element } from "./element.js";
import { asksForTokens, who, whenWhoChanges } from "./identity.js";

const MAX_LINES = 200;

/** @param {string} address @param {{ name: string, example: any }[]} examples */
export function makeConsole(address, examples) {
  /** @type {WebSocket | null} */
  let socket = null;
  const state = element("p", { class: "quiet", role: "status" }, "Not connected.");
  const log = element("ol", { class: "log", role: "log", "aria-label": "What was said", tabindex: "0" });
  const kind = element(
    "select",
    { id: "frame-type", onchange: () => fill() },
    ...examples.map(({ name }) => element("option", {}, name)),
  );
  const text = element("textarea", { id: "frame", rows: "8", spellcheck: "false" });
  const press = () => (socket ? socket.close() : open());
  const connect = element("button", { type: "button", class: "first", onclick: press }, "Connect");
  const send = element("button", { disabled: true }, "Send frame");

  const fill = () => {
    const { name, example } = examples[kind.selectedIndex];
    const own = name === "auth" && who() ? { [asksForTokens() ? "token" : "userId"]: who() } : {};
    text.value = JSON.stringify({ ...example, ...own }, null, 2);
  };
  /** @param {string} mark @param {string} said */
  const note = (mark, said) => {
    const time = new Date().toLocaleTimeString("en-GB");
    const direction = { "→": "sent", "←": "received", "×": "" }[mark];
    log.append(
      element(
        "li",
        {},
        element("time", {}, time),
        " ",
        element("span", { class: "arrow", "aria-hidden": "true" }, mark),
        element("span", { class: "spoken" }, direction),
        " ",
        element("code", {}, said),
      ),
    );
    if (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  };
  const open = () => {
    const url = new URL(address, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    state.textContent = "Connecting…";
    connect.textContent = "Disconnect";
    socket.onopen = () => {
      state.textContent = "Connected.";
      send.disabled = false;
    };
    socket.onmessage = ({ data }) => note("←", data);
    socket.onclose = ({ code, reason }) => {
      note("×", `closed with ${code}${reason ? `: ${reason}` : ""}`);
      socket = null;
      state.textContent = "Not connected.";
      connect.textContent = "Connect";
      send.disabled = true;
    };
  };
  const say = (/** @type {Event} */ event) => {
    event.preventDefault();
    const said = inOneLine(text.value);
    socket?.send(said);
    note("→", said);
  };
  kind.addEventListener("focus", () => !text.value && fill());
  fill();
  // Whether a token is wanted is not known from the beginning.
  whenWhoChanges(() => examples[kind.selectedIndex].name === "auth" && fill());
  return element(
    "form",
    { class: "card console", onsubmit: say, "aria-labelledby": "console" },
    element("div", { class: "line" }, connect, state),
    element("div", { class: "input" }, element("label", { for: "frame-type" }, "Type of frame"), kind),
    element("div", { class: "input" }, element("label", { for: "frame" }, "Frame"), text),
    send,
    log,
  );
}

/** What is no JSON is sent as it stands, to see what the server says. @param {string} text */
function inOneLine(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
