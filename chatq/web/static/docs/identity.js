/** Who the reader is: entered once, kept as long as the tab is open, shown to nobody but this server. */

const KEY = "chatq.docs.who";
/** @type {(() => void)[]} */
const listeners = [];
let withTokens = false;

/** Whether the server asks for tokens. */
export function asksForTokens() {
  return withTokens;
}

/** The token, or in development mode the user; "" if nothing was entered. */
export function who() {
  return sessionStorage.getItem(KEY) ?? "";
}

/** @param {() => void} listener is called whenever it changes */
export function whenWhoChanges(listener) {
  listeners.push(listener);
}

/** The headers that say it. @returns {Record<string, string>} */
export function headers() {
  if (!who()) return {};
  return withTokens ? { Authorization: `Bearer ${who()}` } : { "X-Chatq-User": who() };
}

/** @param {boolean} tokens whether the server asks for tokens */
export function askWho(tokens) {
  withTokens = tokens;
  const [form, input, label, about, state] = ["who", "who-value", "who-label", "who-about", "who-state"].map(
    (id) => /** @type {any} */ (document.getElementById(id)),
  );
  label.textContent = tokens ? "Your token" : "Your user id";
  input.type = tokens ? "password" : "text";
  about.textContent = tokens
    ? "This server asks for a token. It goes along with what you try below, and is forgotten with this tab."
    : "This server runs in development mode: whoever you say you are is believed. It is forgotten with this tab.";
  input.value = who();
  form.hidden = false;
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, input.value.trim());
    tell();
  });
  const tell = () => {
    const nobody = tokens ? "No token yet." : "Nobody: that is the user dev.";
    state.textContent = who() ? `Used: ${tokens ? "your token" : who()}.` : nobody;
    for (const listener of listeners) listener();
  };
  tell();
}
