/** The chat page: who one is, what is open, and which part hears of what. */

import { Chatq } from "/static/chatq.js";
import * as address from "./address.js";
import { notify, passOver, showState } from "./connection.js";
import { Conversations } from "./conversations.js";
import { find, paintFace } from "./element.js";
import { withNextFrame } from "./frame.js";
import { askWhoItIs } from "./sign-in.js";
import { People } from "./people.js";
import { Receipts } from "./receipts.js";
import { Talk } from "./talk.js";

/** Nothing tells that one was put into a conversation; whoever looks at the page sees it within so long. */
const LOOK_AGAIN = 60_000;
/** What marks and typing meet where a message, or oneself, has just gone; that is told where it happens. */
const OF_NO_CONCERN = new Set(["unknown-message", "unknown-conversation", "forbidden"]);

function start(me) {
  const chat = new Chatq(address.withTokens ? { token: address.token() } : { userId: me });
  const receipts = new Receipts(chat, me);
  const people = new People(chat, me, (id) => {
    if (id === talk.id) talk.showHead();
    conversations.show();
  });
  const showTitle = () => {
    const { unread } = conversations;
    document.title = `${unread ? `(${unread}) ` : ""}${talk.name} · chatq`;
  };
  const conversations = new Conversations(chat, me, people, receipts, go, showTitle);
  const talk = new Talk(chat, me, { conversations, people, receipts, onRefused: refused });

  function refused(reason) {
    chat.close();
    address.forgetToken();
    showState("closed"); // why, the dialog says
    askWhoItIs(reason);
  }

  // --- what happens, all that comes within one frame together ------------------------------------

  let events = [];
  const takeSoon = withNextFrame(() => {
    const taken = events;
    events = [];
    conversations.take(taken);
    for (const { type, message } of taken) {
      if (type !== "newMessage") continue;
      if (message.senderId !== me) receipts.arrived(message);
      else if (message.conversationId !== talk.id) talk.outbox.settle(message);
    }
    const here = taken.filter(({ conversationId }) => conversationId === talk.id);
    if (here.length) talk.take(here);
  });
  chat.on("event", (event) => {
    events.push(event);
    takeSoon();
  });
  chat.on("reset", ({ conversationId }) => {
    conversations.loadSoon();
    if (conversationId === talk.id) talk.reload();
  });
  chat.on("left", ({ conversationId }) => talk.leave(conversationId));
  chat.on("messageFailed", (failure) => {
    if (!talk.outbox.fail(failure)) talk.changes.fail(failure);
  });
  chat.on("error", ({ code, detail, conversationId }) => {
    if (conversationId) talk.leave(conversationId);
    else if (!OF_NO_CONCERN.has(code)) notify(detail);
  });
  chat.on("state", ({ state, error }) => {
    if (["unauthorized", "closed-4401"].includes(error?.code)) return refused(error.message);
    showState(state, error);
    if (state === "online") load();
  });

  // --- the list, and the way through it ----------------------------------------------------------

  async function load() {
    try {
      await conversations.load();
    } catch (error) {
      return passOver(error); // it is asked for with each connection
    }
    for (const { id, seq, last, unread } of conversations.newest()) {
      if (id === talk.id) continue; // it is followed from its page on
      talk.follow(id, seq);
      if (unread && last && last.senderId !== me) receipts.arrived(last);
    }
  }

  /** Open a conversation, as an entry of the browser's history. */
  function go(id) {
    show("conversation");
    history.pushState({ view: "conversation" }, "", address.href(id));
    // Who was let out may have been let in again.
    if (id !== talk.id || !talk.entered) talk.open(id);
    talk.composer.focus();
    showTitle();
  }

  function show(view) {
    document.body.dataset.view = view;
    talk.look();
  }

  globalThis.addEventListener("popstate", ({ state }) => {
    const id = address.conversation() ?? "general";
    if (address.isId(id) && id !== talk.id) talk.open(id);
    show(state?.view ?? "conversation");
    showTitle();
  });
  find("back").addEventListener("click", () => {
    history.pushState({ view: "list" }, "", location.search);
    show("list");
    find("conversations").querySelector("[aria-current]")?.focus();
  });
  document.addEventListener("visibilitychange", () => !document.hidden && load());
  // What the server has not accepted is nowhere but here.
  globalThis.addEventListener("beforeunload", (event) => talk.outbox.waits && event.preventDefault());
  setInterval(() => !document.hidden && chat.state === "online" && load(), LOOK_AGAIN);

  // --- a new one ---------------------------------------------------------------------------------

  find("new").addEventListener("click", () => {
    find("subject").value = find("others").value = "";
    find("create").returnValue = "";
    find("create").showModal();
  });
  find("create").addEventListener("submit", async () => {
    const name = find("subject").value.trim();
    const members = [...new Set(find("others").value.split(/[, ]+/).filter(Boolean))];
    // Two ids no address can name.
    const wanted = address.isId(name) && !/^\.\.?$/.test(name) ? { id: name, members } : { title: name, members };
    try {
      const { id } = await chat.createConversation(wanted);
      await load();
      go(id);
    } catch (error) {
      // In development mode anybody may go anywhere.
      if (error.code === "conversation-exists" && !address.withTokens) go(name);
      else notify(`The conversation could not be created: ${error.message}`);
    }
  });

  // --- beginning ---------------------------------------------------------------------------------

  find("switch").addEventListener("click", () => askWhoItIs("", chat.state !== "closed"));
  find("me").textContent = me;
  paintFace(find("my-face"), me);
  const first = address.conversation() ?? "general";
  find("other-hint").hidden = address.withTokens;
  find("other").href = address.href(first, me === "bob" ? "alice" : "bob");
  talk.open(first);
  talk.outbox.resume();
  talk.composer.focus();
}

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

if (address.isId(address.me()) && address.isId(address.conversation() ?? "general")) {
  start(address.me());
} else {
  find("switch").addEventListener("click", () => askWhoItIs());
  find("state").textContent = "Not joined";
  find("text").disabled = find("send").disabled = true;
  const unreadable = address.withTokens && address.token() !== "" && !address.isId(address.me());
  askWhoItIs(unreadable ? "This is no token, or it does not say whose it is." : "");
}
