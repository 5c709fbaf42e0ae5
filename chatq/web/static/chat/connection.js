/** How the connection fares, and what else has to be told that belongs to no message. */

import { ChatqError } from "/static/chatq.js";
import { copy, find } from "./element.js";

/** Errors after which trying again is of no use. */
export const FINAL = new Set([
  "forbidden", "invalid-fields", "unknown-conversation", "conversation-exists", "unauthorized",
]);
const WORDS = { connecting: "Connecting…", online: "Live", offline: "Reconnecting…" };

/** @param {string} state @param {any} [error] */
export function showState(state, error) {
  const element = find("state");
  const text = state === "closed" ? ["Disconnected", error?.message].filter(Boolean).join(": ") : WORDS[state];
  // The first attempts of a client that comes back are no news.
  const shown = state === "connecting" && element.dataset.state === "offline" ? WORDS.offline : text;
  element.dataset.state = state === "connecting" ? element.dataset.state : state;
  if (element.textContent !== shown) element.textContent = shown;
}

/** Let pass what the connection's state tells as well; a fault of the page's own is none of it. @param {any} error */
export function passOver(error) {
  if (!(error instanceof ChatqError)) throw error;
}

/** Tell of something, until it is dismissed or told anew. @param {string} text */
export function notify(text) {
  const notices = find("notices");
  for (const notice of [...notices.children]) if (notice.firstElementChild.textContent === text) notice.remove();
  const notice = copy("notice").firstElementChild;
  notice.firstElementChild.textContent = text;
  notice.querySelector("button").addEventListener("click", () => notice.remove());
  notices.append(notice);
}
