/** The messages of one conversation: a window of its history, and what happens in it. */

import { FINAL, passOver } from "./connection.js";
import { MessageView } from "./message.js";

/** So many messages are asked for at once. */
const PAGE = 50;
/**
 * So many are in the document at most; the far end is let go, and loaded again by whoever goes back there. That bounds
 * what a browser lays out however long the history is, and however long the page stays open. With a window this small
 * a list that mounts rows as they are seen would gain nothing, and would take the text that is not seen from the
 * browser's own search and from screen readers.
 */
const KEPT = 300;
/** Loading begins when so many pixels are left to scroll. */
const AHEAD = 1_000;
/** After a page that could not be loaded. */
const PAUSE = 2_000;
/** How long those who read out take to notice what has come. */
const QUIET = 500;
/** Of so many messages that are not in the window their place is known, for the marks on them. */
const HEARD = 500;

/** Messages in order, of which those at both ends may be missing. */
export class Timeline {
  /** @type {string | null} */
  conversation = null;
  /** What the server knows of, in order. @type {MessageView[]} */
  views = [];
  #byId = new Map();
  /** Cursors of what is missing before and after the window; null where nothing is. */
  #before = null;
  #after = null;
  /** Events since the page was asked for that is on its way; null if none is. @type {any[] | null} */
  #during = null;
  /** Settled once the page that was asked for last has come, or never will. */
  #fetched = Promise.resolve();
  #visit = 0;
  /** The visit in which a page could not be loaded a moment ago, or never can be. */
  #failed = 0;
  #heard = new Map();
  #quiet = 0;

  /**
   * @param {any} chat @param {string} me @param {import("./place.js").Place} place
   * @param {import("./outbox.js").Outbox} outbox
   * @param {{ older: HTMLElement, newer: HTMLElement }} edges what is shown where something is missing
   * @param {() => void} onChange called when something else may be shown than before
   */
  constructor(chat, me, place, outbox, edges, onChange) {
    Object.assign(this, { chat, me, place, outbox, edges, onChange });
    edges.older.addEventListener("click", () => this.#load("older"));
    edges.newer.addEventListener("click", () => this.#load("newer"));
  }

  /** Whether the newest message is in the window, so that the next one belongs there. */
  get complete() {
    return this.#after === null;
  }

  /** Show another conversation, of which nothing is known yet. @param {string} conversation */
  begin(conversation) {
    this.#visit += 1;
    this.conversation = conversation;
    this.#during = [];
    this.#heard.clear();
    this.#change(() => this.#replace([], null));
  }

  /**
   * Load the newest page in place of what is shown; what was there before and is there still stays as it is.
   * @returns {Promise<number | undefined>} the event number to join after; undefined if another is shown by now
   */
  async load() {
    const visit = ++this.#visit;
    const found = await this.#fetch({});
    if (found === null || visit !== this.#visit) return undefined;
    this.#silently(() => {
      this.#replace(found.page.messages, found.page.nextBefore);
      found.during.forEach((event) => this.#apply(event));
    });
    this.place.toEnd();
    return found.page.seq;
  }

  /** Take what happened, in order. @param {any[]} events */
  take(events) {
    this.#during?.push(...events);
    this.#change(() => events.forEach((event) => this.#apply(event)));
  }

  /** Show what waits, or no more. */
  refresh() {
    this.#change(() => {});
  }

  /** Go to the newest message. */
  async toEnd() {
    if (!this.complete) await this.load().catch(passOver);
    this.place.toEnd();
  }

  /** Whether nothing was said before what is in the window. */
  get reachesBack() {
    return this.#before === null;
  }

  /**
   * Find the newest message of one's own that is not deleted. What is missing is loaded, as far as the newest stays.
   * @returns {Promise<MessageView | undefined>}
   */
  async findOwn() {
    if (!this.complete) await this.toEnd();
    const visit = this.#visit;
    for (let known = -1; visit === this.#visit && known < this.views.length; ) {
      await this.#fetched;
      const view = this.views.findLast(({ mine, message }) => mine && message.deletedAt === null);
      if (view) return view;
      known = this.views.length;
      if (this.#before !== null && known + PAGE <= KEPT) await this.#load("older");
    }
    return undefined;
  }

  /** Load what is missing where one comes near it. */
  look() {
    if (this.#before !== null && this.place.above < AHEAD) this.#load("older");
    if (this.#after !== null && this.place.below < AHEAD) this.#load("newer");
  }

  /** @param {Element | undefined} element @returns {MessageView | undefined} */
  viewOf(element) {
    return this.#byId.get(/** @type {HTMLElement} */ (element)?.dataset.id);
  }

  /** @param {string} id @returns {MessageView | undefined} */
  find(id) {
    return this.#byId.get(id);
  }

  async #load(side) {
    const visit = this.#visit;
    if (this.#during !== null || this.#failed === visit) return;
    try {
      const found = await this.#fetch(side === "older" ? { before: this.#before } : { after: this.#after });
      if (found === null) return;
      this.#silently(() => this.#extend(side, found.page));
      if (this.complete) this.#change(() => found.during.forEach((event) => this.#apply(event)));
    } catch (error) {
      passOver(error);
      this.#failed = visit;
      if (FINAL.has(error.code)) return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      if (visit === this.#visit) this.#failed = 0;
    }
    if (visit === this.#visit) this.look();
  }

  /** @returns {Promise<{ page: any, during: any[] } | null>} null if another page was asked for since */
  #fetch(range) {
    const fetching = this.#ask(range);
    const settled = () => {};
    this.#fetched = fetching.then(settled, settled);
    return fetching;
  }

  async #ask(range) {
    const visit = this.#visit;
    const during = (this.#during = /** @type {any[]} */ ([]));
    try {
      const page = await this.chat.history(this.conversation, { limit: PAGE, ...range });
      return visit === this.#visit ? { page, during: during.filter((event) => event.seq > page.seq) } : null;
    } finally {
      if (this.#during === during) this.#during = null;
    }
  }

  #replace(messages, before) {
    const known = this.#byId;
    this.#byId = new Map();
    this.views = messages.map((message) => this.#view(message, known));
    this.#before = before;
    this.#after = null;
  }

  #extend(side, { messages, nextBefore, nextAfter }) {
    const views = messages.filter(({ id }) => !this.#byId.has(id)).map((message) => this.#view(message));
    if (side === "older") {
      this.views.unshift(...views);
      this.#before = nextBefore;
    } else {
      this.views.push(...views);
      this.#after = nextAfter;
    }
    this.#letGo(side === "older" ? "newer" : "older");
  }

  /** Let go of what is too much, at one end. */
  #letGo(side) {
    const surplus = Math.max(0, this.views.length - KEPT);
    const gone = side === "older" ? this.views.splice(0, surplus) : this.views.splice(KEPT);
    for (const view of gone) {
      view.element.remove();
      this.#byId.delete(view.message.id);
    }
    if (!surplus) return;
    if (side === "older") this.#before = this.views[0].message.seq;
    else this.#after = this.views[KEPT - 1].message.seq;
  }

  #view(message, known = this.#byId) {
    const waited = message.senderId === this.me ? this.outbox.settle(message) : undefined;
    const view = known.get(message.id) ?? waited ?? new MessageView(message.senderId, message.senderId === this.me);
    view.show(message);
    this.#byId.set(message.id, view);
    return view;
  }

  #apply(event) {
    const view = this.#byId.get(event.messageId ?? event.message.id);
    if (event.type === "messageStatus") this.#mark(event);
    else if (event.type === "newMessage") this.#add(event.message);
    else if (event.type === "messageEdited") view?.show(event.message);
    else view?.show({ ...view.message, content: null, deletedAt: new Date().toISOString() });
  }

  #add(message) {
    this.#heard.set(message.id, message.seq);
    if (this.#heard.size > HEARD) this.#heard.delete(this.#heard.keys().next().value);
    if (this.#byId.has(message.id)) return;
    if (this.complete) {
      this.views.push(this.#view(message));
      this.#letGo(this.place.above >= this.place.below ? "older" : "newer");
    } else if (message.senderId === this.me) this.outbox.settle(message);
  }

  /** Somebody has everything up to a message. One that is not known is older than all that is shown. */
  #mark({ messageId, status, userId }) {
    const seq = this.#byId.get(messageId)?.message.seq ?? this.#heard.get(messageId) ?? 0;
    for (const view of this.views) if (view.message.seq <= seq && view.sender !== userId) view.setState(status);
  }

  /** Change it without its being read out: the past is no news. */
  #silently(change) {
    const log = this.place.list.parentElement;
    log.setAttribute("aria-live", "off");
    this.#change(change);
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => log.setAttribute("aria-live", "polite"), QUIET);
  }

  /** Change what is in the window, and then the document. */
  #change(change) {
    this.place.sticks = this.complete;
    this.place.keep(() => {
      change();
      const waiting = this.complete ? this.outbox.viewsOf(this.conversation) : [];
      this.#arrange([...this.views, ...waiting]);
      this.edges.older.hidden = this.#before === null;
      this.edges.newer.hidden = this.complete;
    });
    this.place.sticks = this.complete;
    this.onChange();
  }

  /** Have exactly these in the list, in this order, touching none that is where it belongs. @param {MessageView[]} views */
  #arrange(views) {
    const list = this.place.list;
    const wanted = new Set(views.map((view) => view.element));
    for (const element of [...list.children]) if (!wanted.has(element)) element.remove();
    let next = list.firstElementChild;
    views.forEach((view, at) => {
      if (view.element === next) next = next.nextElementSibling;
      else list.insertBefore(view.element, next);
      view.follow(views[at - 1]);
    });
  }
}
