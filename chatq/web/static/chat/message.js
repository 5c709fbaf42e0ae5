/** One message as it is shown. */

import { clock, day, full } from "./clock.js";
import { copy, hueOf, paintFace, setIcon } from "./element.js";

/** What the ticks say: how far a message of one's own has come, each state including those before it. */
const STATES = {
  waiting: "Waiting for the server",
  queued: "Queued",
  sent: "Sent",
  delivered: "Delivered",
  read: "Read",
  failed: "Not sent",
};
const ORDER = Object.keys(STATES);
/** Within so long, one who goes on speaking is not named again. */
const BREATH = 5 * 60_000;

/** A message, or one that is about to become one. */
export class MessageView {
  /** What the server says of it; null as long as it does not know of it. @type {any} */
  message = null;
  /** What is told of it by a tick. @type {string} */
  state = "";
  /** @type {Record<string, any>} */
  #parts;

  /** @param {string} sender @param {boolean} mine */
  constructor(sender, mine) {
    this.sender = sender;
    this.mine = mine;
    /** @type {HTMLLIElement} */
    this.element = copy("message").firstElementChild;
    this.#parts = Object.fromEntries(
      [...this.element.querySelectorAll("[class]")].map((part) => [part.classList[0], part]),
    );
    this.element.classList.toggle("mine", mine);
    this.#at("sender").textContent = mine ? "You" : sender;
    this.#at("sender").style.setProperty("--hue", hueOf(sender));
    paintFace(this.#at("face"), sender);
    if (!mine) return;
    const parts = copy("own-parts");
    this.#parts.tick = parts.querySelector(".tick");
    this.#parts.more = parts.querySelector(".more");
    this.#at("note").append(this.#parts.tick);
    this.#at("line").append(this.#parts.more);
  }

  get text() {
    return this.#at("text");
  }

  get menuButton() {
    return this.#parts.more;
  }

  get content() {
    return this.message ? this.message.content : this.text.textContent;
  }

  /** Show what was said, though the server has not heard it yet. @param {string} content @param {Date} time */
  echo(content, time) {
    this.text.textContent = content;
    this.#setTime(time);
  }

  /** Show what the server says. @param {any} message */
  show(message) {
    const status = this.message?.status;
    this.message = message;
    // A status never moves back, whatever comes late.
    if (ORDER.indexOf(status) > ORDER.indexOf(message.status)) message.status = status;
    const gone = message.deletedAt !== null;
    this.element.classList.toggle("gone", gone);
    this.element.dataset.id = message.id;
    this.text.textContent = gone ? "This message was deleted." : message.content;
    this.#at("edited").hidden = gone || !message.editedAt;
    this.#setTime(new Date(message.createdAt));
    if (gone) this.element.classList.remove("going");
    this.setState(message.status);
    if (this.mine) this.menuButton.setAttribute("aria-label", `Change the message of ${clock(this.time)}`);
  }

  /** @param {string} state */
  setState(state) {
    if (this.message) {
      // Others may have come less far.
      if (ORDER.indexOf(state) < ORDER.indexOf(this.message.status)) return;
      this.message.status = state;
    }
    if (!this.mine || state === this.state) return;
    this.state = state;
    this.element.dataset.state = state;
    const tick = this.#at("tick");
    tick.setAttribute("aria-label", STATES[state]);
    tick.title = STATES[state];
    setIcon(tick.firstElementChild, `tick-${state === "read" ? "delivered" : state}`);
    if (state !== "failed") this.element.querySelector(".trouble")?.remove();
  }

  /** @param {string} reason @param {() => void} retry @param {() => void} discard */
  fail(reason, retry, discard) {
    this.setState("failed");
    this.element.querySelector(".trouble")?.remove();
    const trouble = copy("trouble");
    trouble.querySelector(".reason").textContent = `Not sent: ${reason}`;
    trouble.querySelector("[data-act=retry]").addEventListener("click", retry);
    trouble.querySelector("[data-act=discard]").addEventListener("click", discard);
    this.#at("bubble").append(trouble);
  }

  /** Days, and who goes on speaking, follow from the neighbour. @param {MessageView | undefined} before */
  follow(before) {
    const newDay = this.time.toDateString() !== before?.time.toDateString();
    const header = this.#at("day");
    header.hidden = !newDay;
    const name = newDay ? day(this.time) : "";
    // Not all browsers leave alone what stays as it is, and then it is read out again.
    if (header.textContent !== name) header.textContent = name;
    const pause = this.time.getTime() - (before?.time.getTime() ?? 0);
    const same = !newDay && !this.fresh && before?.sender === this.sender && pause < BREATH;
    this.element.classList.toggle("same", same);
  }

  get fresh() {
    return !this.#at("fresh").hidden;
  }

  /** Say that what is new begins here. */
  set fresh(fresh) {
    this.#at("fresh").hidden = !fresh;
  }

  #setTime(time) {
    this.time = time;
    const element = this.#at("time");
    element.dateTime = time.toISOString();
    element.textContent = clock(time);
    element.title = full(time);
  }

  /** @param {string} part @returns {any} */
  #at(part) {
    return this.#parts[part];
  }
}
