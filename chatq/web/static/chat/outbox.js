/** What one has said and the server has not stored yet: shown at once, sent until it is accepted, kept if it fails. */

import { MessageView } from "./message.js";

/** @typedef {{ id: string, conversation: string, content: string, messageId: string | null, view: MessageView }} Entry */

/** One's messages on their way, in the order in which they were written. */
export class Outbox {
  /** @type {Map<string, Entry>} */
  #entries = new Map();

  /**
   * @param {any} chat @param {string} me @param {() => void} onChange
   * @param {(conversation: string, reason: string) => void} onFailed
   * @param {() => void} onDecided called when it was said what is to become of one that failed, by a button now gone
   */
  constructor(chat, me, onChange, onFailed, onDecided) {
    Object.assign(this, { chat, me, onChange, onFailed, onDecided });
    chat.on("retry", ({ clientMessageId }) => this.#entries.get(clientMessageId)?.view.setState("waiting"));
  }

  /** Whether there is anything that the server has neither accepted nor refused. */
  get waits() {
    return [...this.#entries.values()].some(({ view }) => view.state === "waiting");
  }

  /** @param {string} conversation @param {string} content */
  send(conversation, content) {
    const view = new MessageView(this.me, true);
    const entry = { id: newId(), conversation, content, messageId: null, view };
    view.echo(content, new Date());
    this.#entries.set(entry.id, entry);
    this.#post(entry);
    this.onChange();
  }

  /** @param {string | null} conversation @returns {MessageView[]} */
  viewsOf(conversation) {
    return [...this.#entries.values()].filter((entry) => entry.conversation === conversation).map(({ view }) => view);
  }

  /** A message is stored: return how it was shown while it waited, if it did. @param {any} message */
  settle(message) {
    const view = this.#entries.get(message.clientMessageId)?.view;
    this.#entries.delete(message.clientMessageId);
    return view;
  }

  /** A message will not be stored; return whether it is one of these. @param {any} failure */
  fail({ clientMessageId, messageId, reason }) {
    const entry =
      this.#entries.get(clientMessageId) ?? [...this.#entries.values()].find((each) => each.messageId === messageId);
    if (entry) this.#failed(entry, reason);
    return entry !== undefined;
  }

  #post(entry) {
    entry.view.setState("waiting");
    const waits = () => this.#entries.get(entry.id) === entry;
    this.chat.send(entry.conversation, { content: entry.content, clientMessageId: entry.id }).then(
      ({ messageId }) => {
        entry.messageId = messageId;
        if (waits() && entry.view.state === "waiting") entry.view.setState("queued");
      },
      (error) => waits() && this.#failed(entry, error.message),
    );
  }

  #failed(entry, reason) {
    const discard = () => {
      this.#entries.delete(entry.id);
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
