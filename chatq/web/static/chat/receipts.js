/** How far one has come oneself: what arrived here counts as delivered, what was before one's eyes as read. */

/** Marks that come together are told as one: each covers all before it. */
const TOGETHER = 250;

/** @typedef {{ seq: number, id: string }} Mark */

/** One's own watermarks, by conversation. */
export class Receipts {
  /** What the server was told, or is about to be. @type {Map<string, { delivered: number, read: number }>} */
  #known = new Map();
  /** @type {Map<string, { delivered?: Mark, read?: Mark }>} */
  #due = new Map();
  #timer = 0;

  /** @param {any} chat @param {string} me */
  constructor(chat, me) {
    Object.assign(this, { chat, me });
    globalThis.addEventListener("pagehide", () => this.#tell());
  }

  /** @param {string} conversation */
  readSeq(conversation) {
    return this.#known.get(conversation)?.read ?? 0;
  }

  /** Learn what the server knows already. @param {string} conversation @param {any} member */
  know(conversation, { deliveredSeq, readSeq }) {
    const { delivered, read } = this.#of(conversation);
    this.#known.set(conversation, { delivered: Math.max(delivered, deliveredSeq), read: Math.max(read, readSeq) });
  }

  /** @param {any} message somebody else's */
  arrived(message) {
    this.#mark(message, "delivered");
  }

  /** @param {any} message somebody else's */
  seen(message) {
    this.#mark(message, "read");
  }

  #of(conversation) {
    return this.#known.get(conversation) ?? { delivered: 0, read: 0 };
  }

  #mark({ conversationId, seq, id }, status) {
    const known = this.#of(conversationId);
    if (seq <= known[status]) return;
    this.#known.set(conversationId, { ...known, [status]: seq });
    this.#due.set(conversationId, { ...this.#due.get(conversationId), [status]: { seq, id } });
    this.#timer ||= setTimeout(() => this.#tell(), TOGETHER);
  }

  #tell() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    for (const { delivered, read } of this.#due.values()) {
      if (delivered && !(read && read.seq >= delivered.seq)) this.chat.status(delivered.id, "delivered");
      if (read) this.chat.status(read.id, "read");
    }
    this.#due.clear();
  }
}
