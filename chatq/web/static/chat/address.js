/** Who one is and what is open: told by the page's address, or by a token where the server wants one. */

const ID = /^[A-Za-z0-9._:@+~-]{1,128}$/;
const KEY = "chatq.token";

export const withTokens = document.documentElement.dataset.auth === "token";

/** @param {string} text */
export function isId(text) {
  return ID.test(text);
}

export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** A token has no place in an address: those are logged, remembered and passed on. @param {string} text */
export function keepToken(text) {
  sessionStorage.setItem(KEY, text);
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
}

/** Who one is; empty if it is not known. */
export function me() {
  return (withTokens ? subject(token()) : new URLSearchParams(location.search).get("user")) ?? "";
}

/** What is open; null if the address does not say. */
export function conversation() {
  return new URLSearchParams(location.search).get("conversation") || null;
}

/** @param {string} conversation @param {string} [user] */
export function href(conversation, user = me()) {
  return `?${new URLSearchParams({ ...(withTokens ? {} : { user }), conversation })}`;
}

/** Whom the token names: for show alone, the server checks it. */
function subject(text) {
  try {
    const subject = JSON.parse(atob(text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).sub;
    return isId(subject) ? subject : "";
  } catch {
    return "";
  }
}
