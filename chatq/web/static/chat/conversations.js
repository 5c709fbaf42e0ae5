/** The list of one's conversations: last message, time, how much is unread; newest activity first. */

import * as address from "./address.js";
import { brief, full } from "./clock.js";
import { passOver } from "./connection.js";
import { copy, find, paintFace } from "./element.js";
import { withNextFrame } from "./frame.js";

/** So many of the newest are followed, so that the list tells what happens in them. */
const FOLLOWED = 50;
/** Of a message's text, the list shows so much at most. */
const GIST = 160;
/** What cannot be told from events alone is asked for, once for all that happens meanwhile. */
const SOON = 500;

/** @typedef {{ id: string, title: string | null, seq: number, last: any, at: string, unread: number }} Entry */

/** One's conversations. */
export class Conversations {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();
  #timer = 0;
  /** @type {string | null} */
  #open = null;

  /**
   * @param {any} chat @param {string} me @param {import("./people.js").People} people
   * @param {import("./receipts.js").Receipts} receipts
   * @param {(conversation: string) => void} onOpen @param {() => void} onChange
   */
  constructor(chat, me, people, receipts, onOpen, onChange) {
    Object.assign(this, { chat, me, people, receipts, onOpen, onChange });
    find("conversations").addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      onOpen(link.dataset.id);
    });
  }

  get unread() {
    return [...this.#entries.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  /** @param {string} id */
  get(id) {
    return this.#entries.get(id);
  }

  /** The newest ones. @returns {Entry[]} */
  newest() {
    return [...this.#entries.values()].sort((a, b) => compare(b.at, a.at) || compare(a.id, b.id)).slice(0, FOLLOWED);
  }

  /** Ask the server for all of them. @returns {Promise<void>} */
  async load() {
    for (const listed of await this.chat.conversations()) {
      const entry = this.#entry(listed.id);
      // What was heard since is newer than the answer.
      if (listed.lastSeq < entry.seq) continue;
      const { title, lastSeq: seq, lastMessage: last, unreadCount: unread } = listed;
      Object.assign(entry, { title, seq, last, at: listed.lastMessageAt ?? listed.createdAt ?? "", unread });
      if (last && last.seq <= this.receipts.readSeq(listed.id)) entry.unread = 0;
    }
    this.show();
  }

  /** Ask again, soon. */
  loadSoon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.load().catch(passOver); // it is asked again with the next connection
    }, SOON);
  }

  /** Show which one is open; it is in the list whether one is a member or not. @param {string} id */
  open(id) {
    const before = this.#open && this.#entries.get(this.#open);
    if (before && !before.last && !before.at) this.remove(before.id);
    this.#open = id;
    this.#entry(id);
    this.show();
  }

  /** @param {string} id */
  remove(id) {
    this.#entries.delete(id);
    this.show();
  }

  /** @param {string} id @param {number} unread */
  setUnread(id, unread) {
    const entry = this.#entries.get(id);
    if (!entry || entry.unread === unread) return;
    entry.unread = unread;
    this.show();
  }

  /** Take what happened, in order. @param {any[]} events */
  take(events) {
    for (const event of events) {
      const entry = this.#entry(event.conversationId);
      entry.seq = event.seq;
      if (event.type === "newMessage") {
        Object.assign(entry, { last: event.message, at: event.message.persistedAt });
        if (event.message.senderId !== this.me) entry.unread += 1;
      } else if (event.type === "messageEdited") {
        if (entry.last?.id === event.message.id) entry.last = event.message;
      } else if (event.type === "messageDeleted") {
        if (entry.last?.id === event.messageId || entry.unread) this.loadSoon();
      } else if (event.userId === this.me && event.status === "read") {
        // One has read in another window.
        if (event.messageId === entry.last?.id) entry.unread = 0;
        else if (entry.unread) this.loadSoon();
      }
    }
    this.show();
  }

  /** Show the list as it is by then. */
  show = withNextFrame(() => this.#show());

  #show() {
    const list = find("conversations");
    const all = [...this.#entries.values()].sort((a, b) => compare(b.at, a.at) || compare(a.id, b.id));
    for (const [id, item] of this.#items) {
      if (this.#entries.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    let next = list.firstElementChild;
    for (const entry of all) {
      const item = this.#item(entry.id);
      if (item === next) next = next.nextElementSibling;
      else list.insertBefore(item, next);
      this.#fill(item, entry);
    }
    this.onChange();
  }

  #entry(id) {
    const known = this.#entries.get(id);
    if (known) return known;
    const entry = { id, title: null, seq: 0, last: null, at: "", unread: 0 };
    this.#entries.set(id, entry);
    return entry;
  }

  #item(id) {
    const known = this.#items.get(id);
    if (known) return known;
    const item = copy("conversation").firstElementChild;
    const link = item.firstElementChild;
    link.href = address.href(id);
    link.dataset.id = id;
    this.#items.set(id, item);
    return item;
  }

  #fill(item, { id, title, last, unread }) {
    const at = (part) => item.querySelector(`.${part}`);
    const face = at("face");
    const name = title ?? id;
    if (at("name").textContent !== name) {
      at("name").textContent = name;
      paintFace(face, name);
    }
    const here = this.people.hereIn(id).length > 0;
    face.classList.toggle("here", here);
    const link = item.firstElementChild;
    if (id === this.#open) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    const typing = this.people.typingIn(id);
    const author = last && (last.senderId === this.me ? "You" : last.senderId);
    at("last").classList.toggle("types", typing !== "");
    at("last").firstElementChild.textContent = typing || (last ? `${author}: ${gist(last)}` : "Nothing said yet");
    const time = last && new Date(last.createdAt);
    at("when").textContent = time ? brief(time) : "";
    at("when").title = time ? full(time) : "";
    at("badge").hidden = unread === 0;
    at("badge").textContent = unread > 99 ? "99+" : String(unread);
    const said = [unread ? `${unread} unread` : "", here ? "somebody is here" : ""].filter(Boolean);
    at("spoken").textContent = said.join(", ");
  }
}

function gist({ content }) {
  return content === null ? "This message was deleted." : content.slice(0, GIST);
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
