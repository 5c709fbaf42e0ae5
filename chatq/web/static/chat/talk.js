/** The conversation that is open: entering it, what its head says, and what of it was seen. */

import * as address from "./address.js";
import { Changes } from "./changes.js";
import { Composer } from "./composer.js";
import { FINAL, notify, passOver } from "./connection.js";
import { find, paintFace } from "./element.js";
import { list } from "./people.js";
import { Outbox } from "./outbox.js";
import { Place } from "./place.js";
import { Timeline } from "./timeline.js";

const LONGEST_PAUSE = 10_000;

/** What is in the middle of the page. */
export class Talk {
  /** @type {string | null} */
  id = null;
  /** @type {string | null} */
  #title = null;
  /** @type {any[]} */
  #members = [];
  /** @type {Set<string>} Conversations that are followed, whether open or not. */
  #followed = new Set();
  #visit = 0;
  /** Whether the conversation was loaded. */
  #entered = false;
  /** Somebody said something that was not seen. */
  #news = false;
  /** Up to where one had read when one came; null once it is known where the rest begins. @type {number | null} */
  #readSeq = null;

  /**
   * @param {any} chat @param {string} me
   * @param {{ conversations: import("./conversations.js").Conversations, people: import("./people.js").People,
   *   receipts: import("./receipts.js").Receipts, onRefused: (reason: string) => void }} parts
   */
  constructor(chat, me, parts) {
    Object.assign(this, { chat, me }, parts);
    this.place = new Place(find("scroll"), find("list"));
    const onFailed = (conversation, reason) => {
      if (conversation !== this.id) notify(`A message to ${this.#nameOf(conversation)} was not sent: ${reason}`);
    };
    const focus = () => this.composer.focus();
    this.outbox = new Outbox(chat, me, () => this.timeline.refresh(), onFailed, focus);
    const edges = { older: find("older"), newer: find("newer") };
    this.timeline = new Timeline(chat, me, this.place, this.outbox, edges, () => {
      this.#markFresh();
      this.look();
    });
    this.composer = new Composer(chat, me, (content) => this.#send(content), () => this.changes.editLast());
    this.changes = new Changes(chat, this.timeline, this.composer);
    this.place.onMoved = () => {
      this.timeline.look();
      this.look();
    };
    find("news").addEventListener("click", () => this.timeline.toEnd());
    find("here").addEventListener("click", () => this.#showPeople());
    find("invite").addEventListener("submit", (event) => this.#invite(event));
    // Whoever comes back sees what is there, and perhaps on another day.
    for (const kind of ["focus", "visibilitychange"]) globalThis.addEventListener(kind, () => this.timeline.refresh());
  }

  /** Whether one is in the conversation, as far as is known. */
  get entered() {
    return this.#entered;
  }

  get name() {
    return this.#title ?? this.id ?? "chatq";
  }

  /** Show a conversation; it is tried until it works. @param {string} id */
  async open(id) {
    const visit = ++this.#visit;
    this.id = id;
    this.#title = this.conversations.get(id)?.title ?? null;
    this.#members = [];
    this.#entered = false;
    this.#readSeq = null;
    this.changes.cancel();
    this.timeline.begin(id);
    this.conversations.open(id);
    this.composer.begin(id, this.name);
    this.showHead();
    await this.reload(visit);
  }

  /** Load the open conversation anew, without a flicker where nothing has changed. */
  async reload(visit = ++this.#visit) {
    const { id } = this;
    for (let attempt = 0; visit === this.#visit && this.chat.state !== "closed"; attempt += 1) {
      try {
        await this.#enter(id, visit);
        return this.#loading("");
      } catch (error) {
        passOver(error);
        if (visit !== this.#visit) return;
        if (error.code === "unauthorized") return this.onRefused(error.message);
        this.#loading(`The conversation could not be loaded: ${error.message}`);
        if (FINAL.has(error.code)) return this.#shut();
        await new Promise((resolve) => setTimeout(resolve, Math.min(LONGEST_PAUSE, 500 * 2 ** attempt)));
      }
    }
  }

  /** Follow a conversation, open or not, from an event number on. @param {string} id @param {number} since */
  follow(id, since) {
    if (this.#followed.has(id)) return;
    this.#followed.add(id);
    this.chat.join(id, { since });
  }

  /** One is not in a conversation any more. @param {string} id */
  leave(id) {
    this.#followed.delete(id);
    this.people.forget(id);
    if (id !== this.id) return this.conversations.remove(id);
    this.#entered = false;
    notify(`You are not in ${this.name} any more.`);
    this.#shut();
  }

  /** Nothing can be said here, and who is here is not known. */
  #shut() {
    this.composer.enable(false);
    find("here").hidden = true;
  }

  /** Take what happened in the open conversation. @param {any[]} events */
  take(events) {
    this.timeline.take(events);
    const news = events.some(({ type, message }) => type === "newMessage" && message.senderId !== this.me);
    if (news && !(this.place.atEnd && this.#watched())) this.#news = true;
    this.look();
  }

  /** See what one sees: mark it as read, and offer what is below. */
  look() {
    this.changes?.arrange();
    const { views, complete } = this.timeline;
    find("empty").hidden = !(this.#entered && views.length + this.outbox.viewsOf(this.id).length === 0);
    if (this.place.atEnd && this.#watched()) this.#news = false;
    find("news").hidden = !this.#news && complete && this.place.below < 2 * find("scroll").clientHeight;
    find("news").textContent = this.#news ? "New messages ↓" : "To the newest ↓";
    if (!this.#entered || !this.#watched()) return;
    const seen = this.timeline.viewOf(this.place.lastSeen()) ?? views.at(-1);
    const upTo = seen ? views.indexOf(seen) : -1;
    const last = views.slice(0, upTo + 1).findLast(({ mine }) => !mine);
    if (last) this.receipts.seen(last.message);
    const after = views.slice(upTo + 1).filter(({ mine, message }) => !mine && !message.deletedAt);
    if (complete && this.id) this.conversations.setUnread(this.id, after.length);
  }

  /** Show who is there and who types. */
  showHead() {
    const { id, name } = this;
    if (id === null) return;
    find("title").textContent = name;
    paintFace(find("face"), name);
    const others = this.people.hereIn(id);
    find("here").hidden = false;
    find("here").classList.toggle("alone", !others.length);
    const who = others.length > 4 ? `${others.length} others are here` : `${list(others)} ${others.length > 1 ? "are" : "is"} here`;
    find("here").textContent = others.length ? who : "Nobody else is here";
    const typing = this.people.typingIn(id);
    if (find("typing").textContent !== typing) find("typing").textContent = typing;
  }

  async #enter(id, visit) {
    await this.#create(id);
    if (visit !== this.#visit) return;
    const [details, seq] = await Promise.all([this.chat.conversation(id), this.timeline.load()]);
    if (visit !== this.#visit || seq === undefined) return;
    this.#title = details.title;
    this.#members = details.members;
    const member = details.members.find(({ userId }) => userId === this.me);
    if (member) this.receipts.know(id, member);
    if (!this.#entered && member) {
      this.#readSeq = member.readSeq;
      const first = this.#markFresh();
      // One begins there if all of it is more than fits.
      if (first && topOf(first) < topOf(find("scroll"))) this.place.toTop(first);
    }
    this.#entered = true;
    this.composer.begin(id, this.name);
    this.showHead();
    this.follow(id, seq);
    this.look();
  }

  /** Where callers are known, a conversation is there only once somebody has made it. */
  async #create(id) {
    if (!address.withTokens || this.conversations.get(id)?.at) return;
    await this.conversations.load();
    if (this.conversations.get(id)?.at) return;
    await this.chat.createConversation({ id }).catch((error) => {
      if (error.code !== "conversation-exists") throw error;
    });
  }

  /**
   * Say where begins what one has not read, as soon as that is in the window.
   * @returns {HTMLElement | undefined} the first message of it
   */
  #markFresh() {
    const readSeq = this.#readSeq;
    const { views, reachesBack } = this.timeline;
    if (readSeq === null || (views[0]?.message.seq > readSeq && !reachesBack)) return undefined;
    this.#readSeq = null;
    const first = views.find(({ mine, message }) => !mine && message.seq > readSeq);
    // Who has read nothing need not be told.
    if (!first || first === views[0]) return undefined;
    first.fresh = true;
    this.timeline.refresh();
    return first.element;
  }

  /** Whether somebody looks at the conversation. */
  #watched() {
    // Only where one view covers the other is there a way back.
    const covered = document.body.dataset.view === "list" && find("back").getClientRects().length > 0;
    return document.visibilityState === "visible" && document.hasFocus() && !covered;
  }

  #nameOf(conversation) {
    return this.conversations.get(conversation)?.title ?? conversation;
  }

  #send(content) {
    this.outbox.send(/** @type {string} */ (this.id), content);
    this.timeline.toEnd();
  }

  #loading(text) {
    const told = find("loading");
    // It is read out as often as it changes.
    if (told.textContent !== text) told.textContent = text;
    told.hidden = !text;
  }

  async #showPeople() {
    const id = /** @type {string} */ (this.id);
    const mayAdd = this.people.showList(this.#members, id);
    find("invite").hidden = address.withTokens && !mayAdd;
    find("invite-refusal").hidden = true;
    if (!find("people").open) find("people").showModal();
    const details = await this.chat.conversation(id).catch(passOver);
    if (!details || id !== this.id) return;
    this.#members = details.members;
    find("invite").hidden = !this.people.showList(this.#members, id) && address.withTokens;
  }

  async #invite(event) {
    event.preventDefault();
    const refusal = find("invite-refusal");
    refusal.hidden = true;
    try {
      await this.chat.addMember(this.id, find("invited").value);
      find("invited").value = "";
      await this.#showPeople();
    } catch (error) {
      refusal.textContent = error.message;
      refusal.hidden = false;
    }
  }
}

/** @param {Element} element */
function topOf(element) {
  return element.getBoundingClientRect().top;
}
