/** Where one writes. What was begun in one conversation is there again when one comes back to it. */

import { find } from "./element.js";

/** @type {Map<string, string>} */
const drafts = new Map();

/** The field and its button. */
export class Composer {
  #text = find("text");
  /** @type {string | null} */
  #conversation = null;

  /**
   * @param {any} chat @param {(content: string) => void} onSend
   * @param {() => void} onEditLast called at ↑ in an empty field
   */
  constructor(chat, onSend, onEditLast) {
    const text = this.#text;
    find("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      if (text.value.trim()) {
        onSend(text.value);
        chat.typing(this.#conversation, false);
        text.value = "";
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
    text.addEventListener("input", () => chat.typing(this.#conversation, text.value.trim() !== ""));
    text.addEventListener("blur", () => chat.typing(this.#conversation, false));
  }

  /** @param {string} conversation @param {string} title */
  begin(conversation, title) {
    if (conversation !== this.#conversation) {
      if (this.#conversation !== null) drafts.set(this.#conversation, this.#text.value);
      this.#conversation = conversation;
      this.#text.value = drafts.get(conversation) ?? "";
    }
    this.#text.placeholder = `Message ${title}`;
    this.enable(true);
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
