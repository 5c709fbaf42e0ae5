// @ts-check
/**
 * chatq in a browser (or Node 22, Deno, Bun): follows conversations and sends messages, whatever the network does.
 *
 *     import { Chatq } from "https://chat.example.com/static/chatq.js";
 *
 *     const chat = new Chatq({ getToken: async () => (await fetch("/my-token")).text() });
 *
 *     // A page of the past, then every event after it, once, in order.
 *     const page = await chat.history("general");
 *     chat.on("newMessage", ({ conversationId, message }) => show(message));
 *     chat.on("reset", ({ conversationId }) => reload(conversationId));   // load a page anew, and join after it
 *     await chat.join("general", { since: page.seq });
 *
 *     // Accepted: it will be stored, or `messageFailed` says why not.
 *     await chat.send("general", { content: "hello" });
 *     chat.close();
 *
 * Beside these there are `status` and `typing`; `message`, `edit`, `delete` and `job`; `conversations`, `conversation`,
 * `createConversation` and `addMember`.
 *
 * Options: `url` (by default the server that this module comes from); `getToken`, a function that returns a token or
 * a promise of one, asked again for each connection and before a token expires; or `token`, one that never changes; or
 * `userId`, whom a server in development mode believes; `WebSocket`, the class to use where there is no global one.
 *
 * What it does by itself: reconnects, with jittered exponential backoff; joins again after the last event that it has;
 * drops what it has already; notices what is missing, and fetches it; sends again, under the same `clientMessageId`,
 * until the server has accepted or refused; where it was too fast, after as long as the server says. Messages to one
 * conversation are sent one after the other, so that none overtakes another.
 *
 * Events (`on` returns a function that ends the listening):
 *
 * | event | what it says |
 * |---|---|
 * | `newMessage`, `messageEdited`, `messageDeleted`, `messageStatus` | what the server said; `event`: any of the four |
 * | `reset` {`conversationId`, `seq`} | events before `seq` were missed and are not kept: load the conversation anew |
 * | `messageFailed`, `typing`, `presence`, `left` | what the server said |
 * | `retry` {`conversationId`, `clientMessageId`, `error`} | a message is not accepted yet, and will be sent again |
 * | `error` {`code`, `detail`, `conversationId`?} | something that no promise tells |
 * | `state` {`state`, `error`?} | `connecting`, `online`, `offline` (will try again) or `closed` (for good) |
 *
 * @module
 */

/** @typedef {"connecting" | "online" | "offline" | "closed"} State */
/** @typedef {{ messageId: string, jobId: string, clientMessageId: string }} Accepted */
/** @typedef {{ seq: number, recovered: boolean }} Joined */
/** @typedef {{ messages: any[], nextBefore: number | null, nextAfter: number | null, seq: number }} Page */
/**
 * @typedef {{ id: string, title: string | null, lastSeq: number, lastMessage: any, lastMessageAt: string | null,
 *   createdAt: string | null, unreadCount?: number }} Conversation
 */
/** @typedef {{ userId: string, role: string, deliveredSeq: number, readSeq: number, joinedAt: string }} Member */
/**
 * @typedef {{ url?: string | URL, getToken?: () => string | Promise<string>, token?: string, userId?: string,
 *   WebSocket?: any }} Options
 */
/** @template T @typedef {{ promise: Promise<T>, resolve: (value: T) => void, reject: (error: Error) => void }} Deferred */
/** @typedef {Deferred<Accepted> & { data: { content: string, metadata?: object, clientMessageId: string } }} Message */
/** @typedef {{ messages: Message[], attempt: number }} Queue what waits for one conversation; the first is on its way */
/**
 * @typedef {{ seq: number | null, waiting: Deferred<Joined>[], attempt: number }} Following a conversation of which
 *   everything up to `seq` was handed out, and who waits for the answer to the first join
 */

const MINUTE = 60_000;
/** A timer for more than about 24 of these goes off at once. */
const DAY = 1_440 * MINUTE;
const GREETING_TIMEOUT = 10_000;
/** How long an answer to a message may take before it is sent again. */
const ANSWER_TIMEOUT = 15_000;
/** A connection that lasted for this long was a good one: the next failure is the first again. */
const STEADY = 10_000;
/** How long an event may take from the database to here before it counts as lost. */
const OVERTAKEN = 1_000;
/** How often those who write say so at most. */
const TYPING = 3_000;
/** Codes of errors that pass. */
const PASSING = new Set([
  "overloaded", "queue-unavailable", "durability-unknown", "database-unavailable", "not-ready", "rate-limited",
]);
const NUMBERED = new Set(["newMessage", "messageEdited", "messageDeleted", "messageStatus"]);

/** Something that the server refused, or that was given up. `/problems/<code>` on the server explains its codes. */
export class ChatqError extends Error {
  /** @param {string} code @param {string} detail */
  constructor(code, detail) {
    super(detail);
    Object.assign(this, { name: "ChatqError" });
    this.code = code;
    this.detail = detail;
  }
}

/** A connection to a chatq server that comes back by itself. */
export class Chatq {
  /** @type {State} */ #state = "connecting";
  /** @type {Map<string, Set<(event: any) => void>>} */ #listeners = new Map();
  /** @type {Map<string, Following>} */ #followed = new Map();
  /** @type {Map<string, Queue>} */ #queues = new Map();
  /** @type {Map<string, { status: string, told: number }>} Statuses that the server may not know, by message. */
  #statuses = new Map();
  /** @type {Set<string>} Messages of whose last change the failure was told. */ #failures = new Set();
  /** @type {() => string | Promise<string> | undefined} */ #getToken;
  /** @type {string | undefined} */ #token;
  #renewable;
  #WebSocket;
  #attempt = 0;
  #denied = false;
  // What belongs to the present connection.
  /** @type {any} */ #socket = null;
  /** @type {Map<string, any>} Timers, by what they are for. */ #timers = new Map();
  /** @type {Map<number, (answer: any) => void>} Who takes the answer, by the question's ref. */ #asked = new Map();
  /** @type {Map<string, number[]>} Joins that are not answered yet, by conversation. */ #joins = new Map();
  /** @type {string[]} Conversations whose leaving is not answered yet. */ #leaving = [];
  #onlineSince = Infinity;
  #heartbeat = 0;
  #heard = true;
  #refs = 0;
  #pingRef = 0;
  #earlierPingRef = 0;
  #authRef = 0;

  /** @param {Options} [options] */
  constructor({ url = new URL("..", import.meta.url), getToken, token, userId, WebSocket = globalThis.WebSocket } = {}) {
    /** Address of the server, without a slash at its end. */
    this.url = String(url).replace(/\/+$/, "");
    this.userId = userId;
    if (!/^https?:/.test(this.url)) throw new TypeError(`url must begin with http:// or https://, unlike ${this.url}`);
    if (!WebSocket) throw new TypeError("There is no WebSocket here; pass a class as option WebSocket.");
    this.#getToken = getToken ?? (() => /** @type {any} */ (token));
    this.#renewable = getToken !== undefined;
    this.#WebSocket = WebSocket;
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.addEventListener?.("offline", this.#probe);
    queueMicrotask(() => this.#connect());
  }

  /** Whether it is `connecting`, `online`, `offline` or `closed`. */
  get state() {
    return this.#state;
  }

  /**
   * Call a function at each event of a kind.
   * @param {string} kind
   * @param {(event: any) => void} listener
   * @returns {() => void} ends it
   */
  on(kind, listener) {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * Follow a conversation: from the event after `since` on, or from now on. Joining again starts anew at `since`.
   * @param {string} conversationId
   * @param {{ since?: number }} [options]
   * @returns {Promise<Joined>} as the server answered it at first
   */
  join(conversationId, { since } = {}) {
    /** @type {Deferred<Joined>} */
    const joined = deferred();
    joined.promise.catch(() => {}); // the event `error` tells as well
    const waiting = [...(this.#followed.get(conversationId)?.waiting ?? []), joined];
    const followed = { seq: since ?? null, waiting, attempt: 0 };
    this.#followed.set(conversationId, followed);
    if (this.#state === "closed") this.#unfollow(conversationId, new ChatqError("closed", "The client is closed."));
    else if (this.#state === "online") this.#join(conversationId, followed);
    return joined.promise;
  }

  /**
   * Follow a conversation no more.
   * @param {string} conversationId
   */
  leave(conversationId) {
    this.#unfollow(conversationId, new ChatqError("closed", "The conversation was left."));
    if (this.#state !== "online") return;
    this.#leaving.push(conversationId);
    this.#tell({ type: "leave", conversationId });
  }

  /**
   * Send a message, again and again until it is accepted or refused.
   * @param {string} conversationId
   * @param {{ content: string, metadata?: object, clientMessageId?: string }} message a `clientMessageId` that was
   *   used before, say before a page was reloaded, makes no second message
   * @returns {Promise<Accepted>} rejects with a {@link ChatqError} if the server refuses, or the client is closed, and
   *   with a TypeError where `metadata` cannot be said in JSON
   */
  async send(conversationId, { content, metadata, clientMessageId = randomId() }) {
    /** @type {Message} */
    const message = { ...deferred(), data: { content, metadata, clientMessageId } };
    JSON.stringify(message.data); // what cannot be said in JSON fails here, and holds up no other
    const queue = this.#queues.get(conversationId) ?? { messages: [], attempt: 0 };
    queue.messages.push(message);
    this.#queues.set(conversationId, queue);
    if (this.#state === "closed") this.#giveUp(new ChatqError("closed", "The client is closed."));
    else this.#pump(conversationId, queue);
    return message.promise;
  }

  /**
   * Say that everything up to a message was delivered here, or read.
   * @param {string} messageId
   * @param {"delivered" | "read"} status
   */
  status(messageId, status) {
    if (this.#statuses.get(messageId)?.status !== "read") this.#statuses.set(messageId, { status, told: 0 });
    this.#report();
  }

  /**
   * Say that one is writing, at every key if you like, or has stopped; without effect while there is no connection.
   * @param {string} conversationId
   * @param {boolean} [active]
   */
  typing(conversationId, active = true) {
    const timer = `typing ${conversationId}`;
    if (this.#state !== "online" || (active && this.#timers.has(timer))) return;
    this.#tell({ type: "typing", conversationId, active });
    if (active) this.#time(timer, TYPING, () => {});
    else this.#stop(timer);
  }

  /**
   * Load a page of messages: those before or after an event number, or the newest.
   * @param {string} conversationId
   * @param {{ before?: number, after?: number, limit?: number }} [range]
   * @returns {Promise<Page>} `seq` is the event number to join after
   */
  history(conversationId, range = {}) {
    const wanted = Object.entries(range).filter(([, value]) => value != null);
    const query = new URLSearchParams(/** @type {any} */ (wanted));
    return this.#request("GET", `conversations/${encodeURIComponent(conversationId)}/messages?${query}`);
  }

  /**
   * List one's conversations, newest activity first.
   * @returns {Promise<Conversation[]>} those of the server's list, each with the last message and the `unreadCount`
   */
  async conversations() {
    return (await this.#request("GET", "conversations")).conversations;
  }

  /**
   * Load a conversation with its members, and how far each of them has come.
   * @param {string} conversationId
   * @returns {Promise<Conversation & { members: Member[] }>}
   */
  conversation(conversationId) {
    return this.#request("GET", `conversations/${encodeURIComponent(conversationId)}`);
  }

  /**
   * Create a conversation of one's own; one that is there already, and one's own, stays as it is.
   * @param {{ id?: string, title?: string, members?: string[] }} [conversation] without an `id` the server finds one
   * @returns {Promise<Conversation & { members: Member[] }>}
   */
  createConversation(conversation = {}) {
    return this.#request("POST", "conversations", conversation);
  }

  /**
   * Let somebody be in a conversation; one who is stays as they are.
   * @param {string} conversationId
   * @param {string} userId
   * @returns {Promise<Member>}
   */
  addMember(conversationId, userId) {
    const path = `conversations/${encodeURIComponent(conversationId)}/members/${encodeURIComponent(userId)}`;
    return this.#request("PUT", path, {});
  }

  /**
   * Ask what became of a message.
   * @param {string} messageId
   * @returns {Promise<{ messageId: string, state: string, message?: any, error?: string }>} `state` is `queued`,
   *   `persisted`, `failed`, `expired` or `deleted`
   */
  message(messageId) {
    return this.#request("GET", `messages/${encodeURIComponent(messageId)}`);
  }

  /**
   * Ask how far a job has come.
   * @param {string} jobId as `edit` and `delete` answer it
   * @returns {Promise<{ jobId: string, name: string, state: string, error?: string }>}
   */
  job(jobId) {
    return this.#request("GET", `jobs/${encodeURIComponent(jobId)}`);
  }

  /**
   * Give a message new content; `messageEdited` tells when it has it.
   * @param {string} messageId
   * @param {string} content
   * @returns {Promise<{ messageId: string, jobId: string }>} once the server has accepted it; it is not tried again
   */
  edit(messageId, content) {
    this.#failures.delete(messageId);
    return this.#request("PATCH", `messages/${encodeURIComponent(messageId)}`, { content });
  }

  /**
   * Erase a message; `messageDeleted` tells when it is gone. A second time has no effect.
   * @param {string} messageId
   * @returns {Promise<{ messageId: string, jobId: string }>} once the server has accepted it; it is not tried again
   */
  delete(messageId) {
    this.#failures.delete(messageId);
    return this.#request("DELETE", `messages/${encodeURIComponent(messageId)}`);
  }

  /** End the connection for good; what is not accepted yet is given up. */
  close() {
    this.#end(undefined);
  }

  // --- questions over HTTP -----------------------------------------------------------------------

  /** @param {string} method @param {string} path @param {object} [document] @returns {Promise<any>} */
  async #request(method, path, document) {
    // They would be taken for folders, however they are spelt.
    const unnameable = path.split(/[/?]/).find((part) => part === "." || part === "..");
    if (unnameable) throw new ChatqError("invalid-fields", `“${unnameable}” is an id that no address can name.`);
    const ask = async () => {
      this.#token ??= await this.#getToken();
      /** @type {Record<string, string>} */
      const headers = {};
      if (this.#token !== undefined) headers.Authorization = `Bearer ${this.#token}`;
      else if (this.userId !== undefined) headers["X-Chatq-User"] = this.userId;
      if (document) headers["Content-Type"] = "application/json";
      const body = document && JSON.stringify(document);
      return fetch(`${this.url}/api/${path}`, { method, headers, body }).catch((error) => {
        throw new ChatqError("no-answer", `The server does not answer: ${error.message}`);
      });
    };
    let answer = await ask();
    if (answer.status === 401 && this.#renewable) {
      this.#token = undefined;
      answer = await ask();
    }
    const found = await answer.json().catch((error) => {
      if (answer.ok) throw new ChatqError("no-answer", `The server's answer broke off: ${error.message}`);
      return { detail: `The server answered ${answer.status}.` };
    });
    if (!answer.ok) throw new ChatqError(found.code ?? "internal", found.detail);
    return found;
  }

  // --- connecting, and coming back ---------------------------------------------------------------

  async #connect() {
    if (this.#state === "closed") return;
    this.#become("connecting");
    try {
      this.#token = await this.#getToken();
    } catch (error) {
      return this.#retry(new ChatqError("no-token", String(error)));
    }
    if (this.#state !== "connecting") return;
    let socket;
    try {
      socket = this.#socket = new this.#WebSocket(`${this.url.replace(/^http/, "ws")}/ws`);
    } catch (error) {
      // No address, or none that this page may use: http from https. That will be so the next time, too.
      return this.#end(new ChatqError("no-socket", String(error)));
    }
    this.#time("greeting", GREETING_TIMEOUT, () => this.#lost(1006, "no greeting"));
    socket.onerror = () => {}; // a close follows
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, reason);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#take(JSON.parse(data));
  }

  #lost(code, reason) {
    this.#disconnect();
    if (Date.now() - this.#onlineSince > STEADY) this.#attempt = 0;
    this.#onlineSince = Infinity;
    const error = new ChatqError(`closed-${code}`, reason || `The connection was closed with code ${code}.`);
    // 44xx: not to come back unchanged. A new token is a change, and so is some patience, or one message less.
    if (code === 4413 && this.#refuseLargest(reason)) return this.#retry(error);
    if (code === 4429) return this.#retry(error, MINUTE / 2 + Math.random() * MINUTE);
    const renewed = code === 4401 && this.#renewable && !this.#denied;
    if (code >= 4400 && code < 4500 && !renewed) return this.#end(error);
    this.#denied ||= renewed;
    this.#retry(error);
  }

  /** Give up the largest of the messages that may have been on their way; return whether there is one. */
  #refuseLargest(detail) {
    /** @param {Queue} queue */
    const size = ({ messages }) => (messages.length ? JSON.stringify(messages[0].data).length : 0);
    const [queue] = [...this.#queues.values()].sort((one, other) => size(other) - size(one));
    if (!queue) return false;
    queue.attempt = 0;
    queue.messages.shift()?.reject(new ChatqError("too-large", detail));
    return true;
  }

  #retry(error, pause = backoff(this.#attempt++)) {
    if (this.#state === "closed") return;
    this.#time("connect", pause, () => this.#connect());
    this.#become("offline", error);
    for (const conversationId of this.#queues.keys()) this.#tellRetry(conversationId, error);
  }

  #disconnect() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const all of [this.#timers, this.#asked, this.#joins]) all.clear();
    this.#leaving = [];
    for (const entry of this.#statuses.values()) entry.told = 0;
  }

  #end(error) {
    if (this.#state === "closed") return;
    this.#disconnect();
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.removeEventListener?.("offline", this.#probe);
    this.#become("closed", error);
    this.#giveUp(error ?? new ChatqError("closed", "The client was closed."));
  }

  #giveUp(error) {
    for (const conversationId of this.#followed.keys()) this.#unfollow(conversationId, error);
    for (const { messages } of this.#queues.values()) for (const message of messages) message.reject(error);
    this.#queues.clear();
  }

  /** The network is said to be back. */
  #hurry = () => {
    if (this.#state === "offline") this.#time("connect", backoff(0), () => this.#connect());
    else this.#probe();
  };

  /** The network has changed: see whether the connection lives, without waiting for the next heartbeat. */
  #probe = () => {
    if (this.#state !== "online") return;
    this.#ping();
    this.#time("ping", GREETING_TIMEOUT / 2, () => this.#beat());
  };

  // --- what the server says ----------------------------------------------------------------------

  #take(frame) {
    this.#heard = true;
    const asked = this.#asked.get(Number(frame.ref));
    this.#asked.delete(Number(frame.ref));
    if (asked) asked(frame);
    else if (NUMBERED.has(frame.type)) this.#follow(frame);
    else if (frame.type === "joined") this.#joined(frame);
    else if (frame.type === "left") this.#left(frame);
    else if (frame.type === "messageFailed") this.#failed(frame);
    else if (frame.type === "pong") this.#compare(frame.seqs);
    else if (frame.type === "authenticated") this.#authenticated(frame.userId);
    else if (frame.type === "hello") this.#greeted(frame);
    else this.#emit(frame.type, frame);
  }

  #greeted({ heartbeatSeconds, authRequired }) {
    this.#stop("greeting");
    this.#heartbeat = heartbeatSeconds * 1_000;
    this.#time("ping", Math.random() * this.#heartbeat, () => this.#beat());
    if (!authRequired && this.userId === undefined) this.#authenticated(undefined);
    else if (!authRequired) this.#authenticate({ userId: this.userId });
    else if (this.#token !== undefined) this.#authenticate({ token: this.#token });
    else this.#end(new ChatqError("unauthorized", "This server wants a token: pass getToken or token."));
  }

  #authenticate(credentials) {
    this.#authRef = this.#ask({ type: "auth", ...credentials }, ({ code, detail }) => {
      // Who is online already stays so until the old token has expired.
      if (this.#state === "online") this.#emit("error", new ChatqError(code, detail));
      else if (code === "unauthorized") this.#lost(4401, detail);
      else if (PASSING.has(code)) this.#lost(1006, detail);
      else this.#end(new ChatqError(code, detail));
    });
  }

  #authenticated(userId) {
    this.#asked.delete(this.#authRef);
    this.userId ??= userId;
    this.#denied = false;
    this.#watchToken();
    if (this.#state === "online") return;
    this.#onlineSince = Date.now();
    this.#state = "online";
    for (const [conversationId, followed] of this.#followed) this.#join(conversationId, followed);
    for (const [conversationId, queue] of this.#queues) this.#pump(conversationId, queue);
    this.#report();
    this.#become("online");
  }

  /** Replace the token a while before it expires. */
  #watchToken() {
    const left = this.#renewable && this.#token !== undefined ? expiry(this.#token) - Date.now() : 0;
    if (left > DAY) this.#time("token", DAY, () => this.#watchToken());
    else if (left > 0) this.#time("token", left - Math.min(MINUTE / 2, left / 5), () => this.#renew());
  }

  async #renew() {
    const socket = this.#socket;
    try {
      const token = await this.#getToken();
      // The same again? The server says when it has had enough of it.
      if (socket === this.#socket && token !== this.#token) this.#authenticate({ token: (this.#token = token) });
    } catch (error) {
      this.#emit("error", new ChatqError("no-token", String(error)));
    }
  }

  #beat() {
    if (!this.#heard) return this.#lost(1006, "the server is silent");
    this.#ping();
    this.#time("ping", this.#heartbeat * (0.75 + Math.random() / 4), () => this.#beat());
  }

  #ping() {
    this.#heard = false;
    [this.#earlierPingRef, this.#pingRef] = [this.#pingRef, this.#refs];
    this.#tell({ type: "ping" });
  }

  /** Look for what is missing, given the newest number of each conversation. */
  #compare(marks) {
    // What was said before an earlier ping was taken. What was said just before this one may be refused later: where
    // the server waits for Redis.
    for (const [messageId, { told }] of this.#statuses) {
      if (told && told <= this.#earlierPingRef && this.#asked.delete(told)) this.#statuses.delete(messageId);
    }
    for (const [conversationId, followed] of this.#followed) {
      const [mark, { seq }, joins] = [marks[conversationId], followed, this.#joins.get(conversationId)];
      if (joins && joins[joins.length - 1] <= this.#pingRef) {
        // Frames are answered in order: a join that was sent before the ping was answered, and the answer lost.
        this.#joins.delete(conversationId);
        this.#join(conversationId, followed);
      } else if (!joins && seq !== mark && !this.#timers.has(`mark ${conversationId}`)) {
        // What is on its way may yet arrive. A position above the mark that stays is one of a history now replaced.
        this.#time(`mark ${conversationId}`, OVERTAKEN, () => {
          const now = followed.seq ?? 0;
          if (mark === undefined || now < mark || now === seq) this.#joinAgain(conversationId, followed);
        });
      }
    }
  }

  // --- following ---------------------------------------------------------------------------------

  #join(conversationId, followed) {
    const ref = this.#ask({ type: "join", conversationId, since: followed.seq ?? undefined }, (error) => {
      this.#joinAnswered(conversationId, ref);
      if (PASSING.has(error.code)) {
        const pause = pauseAfter(error, followed.attempt++);
        this.#time(`join ${conversationId}`, pause, () => this.#joinAgain(conversationId, followed));
      } else if (this.#followed.get(conversationId) === followed) {
        this.#unfollow(conversationId, new ChatqError(error.code, error.detail));
        this.#emit("error", { ...error, conversationId });
      }
    });
    this.#joins.set(conversationId, [...(this.#joins.get(conversationId) ?? []), ref]);
  }

  #joinAgain(conversationId, followed) {
    const wanted = this.#followed.get(conversationId) === followed && !this.#joins.has(conversationId);
    if (wanted && this.#state === "online") this.#join(conversationId, followed);
  }

  /** A join, by default the oldest, is answered; return whether there is no other. */
  #joinAnswered(conversationId, ref = this.#joins.get(conversationId)?.[0]) {
    const others = this.#joins.get(conversationId)?.filter((other) => other !== ref) ?? [];
    this.#asked.delete(ref ?? 0);
    if (others.length) this.#joins.set(conversationId, others);
    else this.#joins.delete(conversationId);
    return !others.length;
  }

  #joined({ conversationId, seq, recovered }) {
    const followed = this.#followed.get(conversationId);
    if (!this.#joinAnswered(conversationId) || !followed) return;
    followed.attempt = 0;
    if (followed.seq === null || !recovered) followed.seq = seq;
    for (const joined of followed.waiting.splice(0)) joined.resolve({ seq, recovered });
    if (!recovered) this.#emit("reset", { type: "reset", conversationId, seq });
  }

  #left(frame) {
    const asked = this.#leaving.indexOf(frame.conversationId);
    if (asked >= 0) return void this.#leaving.splice(asked, 1);
    this.#unfollow(frame.conversationId, new ChatqError("forbidden", "You are not a member any more."));
    this.#emit("left", frame);
  }

  #follow(event) {
    const followed = this.#followed.get(event.conversationId);
    if (!followed || followed.seq === null || event.seq <= followed.seq) return;
    if (event.seq > followed.seq + 1) return this.#joinAgain(event.conversationId, followed);
    followed.seq = event.seq;
    this.#emit(event.type, event);
    this.#emit("event", event);
  }

  #unfollow(conversationId, error) {
    for (const joined of this.#followed.get(conversationId)?.waiting ?? []) joined.reject(error);
    this.#followed.delete(conversationId);
  }

  // --- sending -----------------------------------------------------------------------------------

  /** Send the first message that waits, unless it is on its way or waits for its next attempt. */
  #pump(conversationId, queue) {
    const timer = `send ${conversationId}`;
    const message = queue.messages[0];
    if (!message) return void this.#queues.delete(conversationId);
    if (this.#timers.has(timer) || this.#state !== "online") return;
    const ref = this.#ask({ type: "send", conversationId, messageData: message.data }, (answer) => {
      const error = new ChatqError(answer.code, answer.detail);
      if (PASSING.has(answer.code)) {
        this.#time(timer, pauseAfter(answer, queue.attempt++), () => this.#pump(conversationId, queue));
        return this.#tellRetry(conversationId, error);
      }
      this.#stop(timer);
      queue.messages.shift();
      queue.attempt = 0;
      const { messageId, jobId } = answer;
      this.#failures.delete(messageId);
      if (answer.type === "error") message.reject(error);
      else message.resolve({ messageId, jobId, clientMessageId: message.data.clientMessageId });
      this.#pump(conversationId, queue);
    });
    this.#time(timer, ANSWER_TIMEOUT, () => {
      this.#asked.delete(ref);
      this.#tellRetry(conversationId, new ChatqError("no-answer", "The server has not answered yet."));
      this.#pump(conversationId, queue);
    });
  }

  /** The server may tell a failure again with each authentication. */
  #failed(frame) {
    if (this.#failures.has(frame.messageId)) return;
    this.#failures.add(frame.messageId);
    this.#emit("messageFailed", frame);
  }

  /** Tell the server the statuses that it was not told over this connection. */
  #report() {
    if (this.#state !== "online") return;
    for (const [messageId, entry] of this.#statuses) {
      if (entry.told) continue;
      entry.told = this.#ask({ type: "status", messageId, status: entry.status }, (error) => {
        if (PASSING.has(error.code)) {
          entry.told = 0;
          return this.#time("statuses", pauseAfter(error, 0), () => this.#report());
        }
        this.#statuses.delete(messageId);
        this.#emit("error", error);
      });
    }
  }

  #tellRetry(conversationId, error) {
    for (const { data } of this.#queues.get(conversationId)?.messages ?? []) {
      this.#emit("retry", { type: "retry", conversationId, clientMessageId: data.clientMessageId, error });
    }
  }

  // --- the lowest things -------------------------------------------------------------------------

  /** Have something done later, in place of what was to be done under that name. */
  #time(name, pause, call) {
    this.#stop(name);
    const go = () => {
      this.#timers.delete(name);
      call();
    };
    this.#timers.set(name, setTimeout(go, pause));
  }

  #stop(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #ask(frame, take) {
    const ref = ++this.#refs;
    this.#asked.set(ref, take);
    this.#tell({ ...frame, ref: String(ref) });
    return ref;
  }

  #tell(frame) {
    // A socket that is just closing takes nothing, and says so itself.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #become(state, error = undefined) {
    this.#state = state;
    this.#emit("state", { type: "state", state, error });
  }

  #emit(kind, event) {
    for (const listener of this.#listeners.get(kind) ?? []) {
      try {
        listener(event);
      } catch (error) {
        // A listener's fault is its own: reported as such, and nobody else's trouble.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}

/** @param {number} attempt @returns {number} milliseconds: "full jitter" spreads those who lost the same server. */
function backoff(attempt) {
  return Math.random() * Math.min(MINUTE / 2, 1_000 * 2 ** attempt);
}

/**
 * @param {{ retryAfter?: number }} error in seconds, if the server says when it takes more
 * @param {number} attempt
 * @returns {number} milliseconds to wait after an error that passes
 */
function pauseAfter({ retryAfter = 0 }, attempt) {
  return retryAfter * 1_000 + backoff(attempt);
}

/** @returns {any} */
function deferred() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

function randomId() {
  // crypto.randomUUID is for https and localhost only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} token @returns {number} when a JWT expires, in milliseconds since 1970; NaN if it does not say. */
function expiry(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp * 1_000;
  } catch {
    return NaN; // not every token can be read here
  }
}
