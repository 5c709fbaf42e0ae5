/**
 * What one has said and the server has not stored yet: shown at once, sent until it is accepted, kept if it fails. It is
 * kept for its sender in this window too, and sent again from there, under the same id: that makes no second message.
 */

import { passOver } from "./connection.js";
import { Kept } from "./kept.js";
import { MessageView } from "./message.js";

/** Within so long, what is stored is told by an event; if none was, it was stored before, and is asked for. */
const TOLD = 3_000;

/** @typedef {{ conversation: string, content: string, time: string, reason?: string }} Unsent */
/** @typedef {{ id: string, conversation: string, content: string, messageId: string | null, view: MessageView }} Entry */

/** One's messages on their way, in the order in which they were written. */
export class Outbox {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Kept<Unsent>} */
  #kept;

  /**
   * @param {any} chat @param {string} me @param {() => void} onChange
   * @param {(conversation: string, reason: string) => void} onFailed
   * @param {() => void} onDecided called when it was said what is to become of one that failed, by a button now gone
   */
  constructor(chat, me, onChange, onFailed, onDecided) {
    Object.assign(this, { chat, me, onChange, onFailed, onDecided });
    this.#kept = new Kept("unsent", me);
    chat.on("retry", ({ clientMessageId }) => this.#entries.get(clientMessageId)?.view.setState("waiting"));
  }

  /** Whether there is anything that the server has neither accepted nor refused. */
  get waits() {
    return [...this.#entries.values()].some(({ view }) => view.state === "waiting");
  }

  /** @param {string} conversation @param {string} content */
  send(conversation, content) {
    this.#post(this.#enter(newId(), conversation, content, new Date()));
    this.onChange();
  }

  /** Go on with what was said before the page was loaded. */
  resume() {
    for (const [id, { conversation, content, time, reason }] of this.#kept.entries()) {
      const entry = this.#enter(id, conversation, content, new Date(time));
      if (reason === undefined) this.#post(entry).then(() => this.#followUp(entry));
      else this.#failed(entry, reason);
    }
    this.onChange();
  }

  /** @param {string | null} conversation @returns {MessageView[]} */
  viewsOf(conversation) {
    return [...this.#entries.values()].filter((entry) => entry.conversation === conversation).map(({ view }) => view);
  }

  /** A message is stored: return how it was shown while it waited, if it did. @param {any} message */
  settle(message) {
    const view = this.#entries.get(message.clientMessageId)?.view;
    this.#forget(message.clientMessageId);
    return view;
  }

  /** A message will not be stored; return whether it is one of these. @param {any} failure */
  fail({ clientMessageId, messageId, reason }) {
    const entry =
      this.#entries.get(clientMessageId) ?? [...this.#entries.values()].find((each) => each.messageId === messageId);
    if (entry) {
      this.#remember(entry, reason);
      this.#failed(entry, reason);
    }
    return entry !== undefined;
  }

  #enter(id, conversation, content, time) {
    const entry = { id, conversation, content, messageId: null, view: new MessageView(this.me, true) };
    entry.view.echo(content, time);
    this.#entries.set(id, entry);
    return entry;
  }

  #forget(id) {
    this.#entries.delete(id);
    this.#kept.delete(id);
  }

  #waits(entry) {
    return this.#entries.get(entry.id) === entry;
  }

  #post(entry) {
    entry.view.setState("waiting");
    this.#remember(entry);
    return this.chat.send(entry.conversation, { content: entry.content, clientMessageId: entry.id }).then(
      ({ messageId }) => {
        entry.messageId = messageId;
        if (this.#waits(entry) && entry.view.state === "waiting") entry.view.setState("queued");
      },
      (error) => {
        if (!this.#waits(entry)) return;
        // The end of a connection says nothing of the message: it is sent with the next.
        if (this.chat.state !== "closed") this.#remember(entry, error.message);
        this.#failed(entry, error.message);
      },
    );
  }

  /** @param {Entry} entry @param {string} [reason] why it failed */
  #remember({ id, conversation, content, view }, reason) {
    this.#kept.set(id, { conversation, content, time: view.time.toISOString(), reason });
  }

  /** What was accepted under the same id before the page was loaded may be stored since, and nobody tells it again. */
  async #followUp(entry) {
    while (this.#waits(entry) && entry.view.state === "queued" && this.chat.state !== "closed") {
      await new Promise((resolve) => setTimeout(resolve, TOLD));
      const found = await this.chat.message(entry.messageId).catch(passOver);
      if (!this.#waits(entry) || !["persisted", "deleted"].includes(found?.state)) continue;
      this.#forget(entry.id);
      this.onChange();
    }
  }

  #failed(entry, reason) {
    const discard = () => {
      this.#forget(entry.id);
      this.onChange();
      this.onDecided();
    };
    const retry = () => {
      // The same id again: whatever became of the first attempt, there is one message.
      this.#post(entry);
      this.onDecided();
    };
    entry.view.fail(reason, retry, discard);
    this.onFailed(entry.conversation, reason);
    this.onChange();
  }
}

function newId() {
  // crypto.randomUUID is for https and localhost only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
