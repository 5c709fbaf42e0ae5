/** Changing what one has said: a menu at each message of one's own, an editor in its place, a question before it goes. */

import { notify, passOver } from "./connection.js";
import { clock } from "./clock.js";
import { copy, find } from "./element.js";

const GIST = 200;
/** Milliseconds after which it is asked what became of a change that no event has told of, at first and at most. */
const FIRST_LOOK = 2_000;
const LAST_LOOK = 60_000;
const FAILED = new Set(["failed", "stopped", "canceled"]);

/** Menu, editor and dialog; there is one of each. */
export class Changes {
  #menu = find("menu");
  /** @type {HTMLElement | null} */
  #button = null;
  /** @type {import("./message.js").MessageView | null} What is being edited. */
  #edited = null;
  /** @type {any} Where it is edited. */
  #editor = null;

  /**
   * @param {any} chat @param {import("./timeline.js").Timeline} timeline
   * @param {import("./composer.js").Composer} composer
   */
  constructor(chat, timeline, composer) {
    Object.assign(this, { chat, timeline, composer });
    const list = timeline.place.list;
    list.addEventListener("click", (event) => (this.#button = event.target.closest(".more") ?? this.#button), true);
    list.addEventListener("keydown", (event) => this.#walk(event));
    list.addEventListener("focusin", (event) => event.target.matches(".more") && this.#reach(event.target));
    timeline.place.scroll.addEventListener("scroll", () => this.#menu.hidePopover());
    this.#menu.addEventListener("beforetoggle", (event) => event.newState === "open" && this.#place());
    this.#menu.addEventListener("toggle", (event) => event.newState === "open" && this.#items()[0].focus());
    this.#menu.addEventListener("keydown", (event) => this.#choose(event));
    this.#menu.addEventListener("click", (event) => this.#act(event.target.closest("[data-act]")?.dataset.act));
  }

  /** One message's button is in the way of the tab key, the last one's; arrows lead from there to the others. */
  arrange() {
    this.#park();
    const buttons = this.#buttons();
    if (this.#menu.matches(":popover-open") && !buttons.includes(this.#button)) {
      // What it was opened for was deleted elsewhere.
      this.#menu.hidePopover();
      this.composer.focus();
    }
    const last = buttons.at(-1);
    if (last && last.tabIndex !== 0 && !document.activeElement?.matches(".more")) this.#reach(last);
  }

  async editLast() {
    const { conversation, outbox } = this.timeline;
    if (outbox.viewsOf(conversation).some(({ state }) => state !== "failed")) {
      // Whoever reaches for what was said last does not mean what was said before it.
      notify("What you said last is not saved yet. It can be edited once it is.");
      return;
    }
    const view = await this.timeline.findOwn();
    // While it was looked for, one may have gone elsewhere, or begun to write something else.
    if (conversation !== this.timeline.conversation || find("text").value !== "") return;
    if (view) this.edit(view);
    else if (!this.timeline.reachesBack) notify("Your last message here is too far back to be found from the keyboard.");
  }

  /** @param {import("./message.js").MessageView} view */
  edit(view) {
    this.cancel();
    this.#edited = view;
    const editor = (this.#editor = copy("editor").firstElementChild);
    const text = editor.querySelector("textarea");
    text.value = view.content;
    editor.querySelector("[data-act=cancel]").addEventListener("click", () => this.cancel());
    editor.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(view, editor, text.value);
    });
    editor.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.cancel();
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === text) {
        event.preventDefault();
        editor.requestSubmit();
      }
    });
    this.timeline.place.keep(() => {
      view.text.parentElement.after(editor);
      view.element.classList.add("editing");
    });
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
    editor.scrollIntoView({ block: "nearest" });
  }

  /** Leave the message as it is. */
  cancel() {
    const view = this.#edited;
    if (!view) return;
    this.#edited = null;
    this.timeline.place.keep(() => {
      view.element.classList.remove("editing");
      this.#editor.remove();
      find("parked").hidden = true;
    });
    this.composer.focus();
  }

  /** A change that was accepted failed after all. @param {any} failure */
  fail({ messageId, reason }) {
    const view = this.timeline.find(messageId);
    if (view) view.show(view.message);
    notify(`A message could not be ${view ? "changed" : "sent"}: ${reason}`);
  }

  /** The message that is edited may be let go of, for new ones: one goes on beside where one writes. */
  #park() {
    if (!this.#edited || this.#editor.isConnected) return;
    const { element, time } = this.#edited;
    element.classList.remove("editing");
    find("parked-what").textContent = `You are editing your message of ${clock(time)}.`;
    find("parked").append(this.#editor);
    find("parked").hidden = false;
    // Who wrote in it goes on; who was elsewhere stays there.
    if (document.activeElement === document.body) this.#editor.querySelector("textarea").focus({ preventScroll: true });
  }

  async #save(view, editor, content) {
    if (!content.trim() || content === view.message.content) return this.cancel();
    const save = editor.querySelector(".first");
    save.disabled = true;
    try {
      const { jobId } = await this.chat.edit(view.message.id, content);
      this.#followUp(jobId, view, "changed");
      // It is told by an event, a moment later.
      if (view.message.deletedAt === null) view.text.textContent = content;
      if (this.#edited === view) this.cancel();
    } catch (error) {
      notify(`The message could not be changed: ${error.message}`);
      save.disabled = false;
    }
  }

  /** An event tells that a change was made; that it never will be is to be asked for. */
  async #followUp(jobId, view, done) {
    const { editedAt, deletedAt } = view.message;
    for (let wait = FIRST_LOOK; this.chat.state !== "closed"; wait = Math.min(2 * wait, LAST_LOOK)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      const made = view.message.editedAt !== editedAt || view.message.deletedAt !== deletedAt;
      if (made || (await this.#isOver(jobId, view, done))) return;
    }
  }

  /** Tell of a change that failed; return whether it has failed, or is done. */
  async #isOver(jobId, view, done) {
    try {
      const { state, error } = await this.chat.job(jobId);
      if (!FAILED.has(state)) return state === "finished";
      view.element.classList.remove("going");
      view.show(view.message);
      notify(`The message could not be ${done}: ${error ?? "somebody has cancelled it"}`);
      return true;
    } catch (error) {
      passOver(error);
      return error.code === "unknown-job"; // done, and forgotten since
    }
  }

  #erase(view) {
    const dialog = find("erase");
    find("erase-what").textContent = view.content.slice(0, GIST);
    dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        if (dialog.returnValue !== "delete") return;
        this.composer.focus();
        // It may be gone by now, from another window.
        if (view.message.deletedAt !== null) return;
        view.element.classList.add("going");
        this.chat.delete(view.message.id).then(
          ({ jobId }) => this.#followUp(jobId, view, "deleted"),
          (error) => {
            view.element.classList.remove("going");
            notify(`The message could not be deleted: ${error.message}`);
          },
        );
      },
      { once: true },
    );
    dialog.showModal();
  }

  // --- the menu, and the way to it ---------------------------------------------------------------

  #act(act) {
    if (!act || !this.#button) return;
    this.#menu.hidePopover();
    const view = this.#viewAt(this.#button);
    if (act === "edit") this.edit(view);
    else this.#erase(view);
  }

  #place() {
    const at = /** @type {HTMLElement} */ (this.#button).getBoundingClientRect();
    const room = document.documentElement;
    const below = at.bottom < room.clientHeight - 120;
    // On a phone the button of a wide message is near the left edge, with no room for a menu beside it.
    const rightwards = at.left < room.clientWidth / 2;
    Object.assign(this.#menu.style, {
      left: rightwards ? `${at.left}px` : "auto",
      right: rightwards ? "auto" : `${room.clientWidth - at.right}px`,
      top: below ? `${at.bottom + 4}px` : "auto",
      bottom: below ? "auto" : `${room.clientHeight - at.top + 4}px`,
    });
  }

  /** @param {KeyboardEvent} event */
  #choose(event) {
    const items = this.#items();
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) items.at(to % items.length)?.focus();
    else if (event.key === "Tab") this.#menu.hidePopover();
    else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const buttons = this.#buttons();
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[to]?.focus();
  }

  #reach(button) {
    for (const other of this.#buttons()) other.tabIndex = other === button ? 0 : -1;
  }

  /** @returns {HTMLElement[]} */
  #items() {
    return [...this.#menu.querySelectorAll("[role=menuitem]")];
  }

  /** @returns {HTMLElement[]} */
  #buttons() {
    return [...this.timeline.place.list.querySelectorAll(".message[data-id]:not(.gone) .more")];
  }

  #viewAt(button) {
    return /** @type {any} */ (this.timeline.viewOf(button.closest(".message")));
  }
}
