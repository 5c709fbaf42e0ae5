/** Who is there, who types, and who is in a conversation at all. */

import { copy, find, paintFace } from "./element.js";

/** After a cut, those count as gone of whom nothing was told for so long. */
const SETTLED = 5_000;

/** People in all conversations that are followed. */
export class People {
  /** By conversation, each user with the connection in which they were last told of. @type {Map<string, Map<string, number>>} */
  #here = new Map();
  /** @type {Map<string, Set<string>>} */
  #typing = new Map();
  #connection = 0;

  /** @param {any} chat @param {string} me @param {(conversation: string) => void} onChange */
  constructor(chat, me, onChange) {
    Object.assign(this, { chat, me, onChange });
    chat.on("presence", ({ conversationId, userId, online }) => {
      const here = entry(this.#here, conversationId, () => new Map());
      if (online) here.set(userId, this.#connection);
      else here.delete(userId);
      onChange(conversationId);
    });
    chat.on("typing", ({ conversationId, userId, active }) => {
      const typing = entry(this.#typing, conversationId, () => new Set());
      if (active) typing.add(userId);
      else typing.delete(userId);
      onChange(conversationId);
    });
    // Whoever wrote a message has written it.
    chat.on("newMessage", ({ conversationId, message }) => {
      if (this.#typing.get(conversationId)?.delete(message.senderId)) onChange(conversationId);
    });
    chat.on("state", ({ state }) => {
      if (state === "offline") this.#stopTyping();
      if (state === "online") this.#settle();
    });
  }

  /** Others who are there. @param {string} conversation @returns {string[]} */
  hereIn(conversation) {
    return [...(this.#here.get(conversation)?.keys() ?? [])].filter((user) => user !== this.me).sort();
  }

  /** What is to be said of those who type; empty if nobody does. @param {string} conversation */
  typingIn(conversation) {
    const names = [...(this.#typing.get(conversation) ?? [])].filter((user) => user !== this.me).sort();
    if (names.length > 3) return "Several people are typing…";
    return names.length ? `${list(names)} ${names.length === 1 ? "is" : "are"} typing…` : "";
  }

  /** Forget a conversation that is not followed any more. @param {string} conversation */
  forget(conversation) {
    this.#here.delete(conversation);
    this.#typing.delete(conversation);
    this.onChange(conversation);
  }

  /** Show who is in a conversation. @param {any[]} members @param {string} conversation */
  showList(members, conversation) {
    const here = new Set([this.me, ...this.hereIn(conversation)]);
    const names = [...new Set([...members.map(({ userId }) => userId), ...here])].sort();
    const owners = new Set(members.filter(({ role }) => role === "owner").map(({ userId }) => userId));
    find("people-list").replaceChildren(
      ...names.map((name) => {
        const item = copy("person").firstElementChild;
        paintFace(item.querySelector(".face"), name);
        item.querySelector(".face").classList.toggle("here", here.has(name));
        item.querySelector(".name").textContent = name === this.me ? `${name} (you)` : name;
        const what = [owners.has(name) ? "owner" : "", here.has(name) ? "here" : "away"].filter(Boolean);
        item.querySelector(".what").textContent = what.join(", ");
        return item;
      }),
    );
    return owners.has(this.me);
  }

  #stopTyping() {
    const conversations = [...this.#typing.keys()];
    this.#typing.clear();
    conversations.forEach(this.onChange);
  }

  /** The server tells anew who is there; who is not among them has left meanwhile. */
  #settle() {
    const connection = (this.#connection += 1);
    setTimeout(() => {
      if (connection !== this.#connection) return;
      for (const [conversation, here] of this.#here) {
        const gone = [...here].filter(([, told]) => told < connection);
        gone.forEach(([user]) => here.delete(user));
        if (gone.length) this.onChange(conversation);
      }
    }, SETTLED);
  }
}

/** @param {string[]} names */
export function list(names) {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? "");
}

function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}
