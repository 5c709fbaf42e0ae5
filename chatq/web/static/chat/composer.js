/** Where one writes. What was begun in one conversation is there again when one comes back to it, or to the page. */

import { find } from "./element.js";
import { Kept } from "./kept.js";

/** The field and its button. */
export class Composer {
  #text = find("text");
  /** @type {string | null} */
  #conversation = null;
  /** By conversation. @type {Kept<string>} */
  #drafts;

  /**
   * @param {any} chat @param {string} me @param {(content: string) => void} onSend
   * @param {() => void} onEditLast called at ↑ in an empty field
   */
  constructor(chat, me, onSend, onEditLast) {
    const text = this.#text;
    this.#drafts = new Kept("drafts", me);
    const tell = (active) => !text.disabled && chat.typing(this.#conversation, active);
    find("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      if (text.value.trim()) {
        onSend(text.value);
        tell(false);
        text.value = "";
        this.#keep();
      }
      text.focus();
    });
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        find("composer").requestSubmit();
      } else if (event.key === "ArrowUp" && text.value === "") {
        event.preventDefault();
        onEditLast();
      }
    });
    text.addEventListener("input", () => {
      tell(text.value.trim() !== "");
      this.#keep();
    });
    text.addEventListener("blur", () => tell(false));
  }

  /** @param {string} conversation @param {string} title */
  begin(conversation, title) {
    if (conversation !== this.#conversation) {
      this.#keep();
      this.#conversation = conversation;
      this.#text.value = this.#drafts.get(conversation) ?? "";
    }
    this.#text.placeholder = `Message ${title}`;
    this.enable(true);
  }

  #keep() {
    if (this.#conversation === null) return;
    if (this.#text.value.trim()) this.#drafts.set(this.#conversation, this.#text.value);
    else this.#drafts.delete(this.#conversation);
  }

  /** @param {boolean} enabled */
  enable(enabled) {
    this.#text.disabled = find("send").disabled = !enabled;
  }

  /** Not where that brings up a keyboard over half of what one wants to read. */
  focus() {
    if (matchMedia("(hover: hover)").matches) this.#text.focus({ preventScroll: true });
  }
}
