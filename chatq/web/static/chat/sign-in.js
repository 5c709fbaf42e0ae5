/** The dialog that asks who one is. */

import * as address from "./address.js";
import { find } from "./element.js";

/** @param {string} [refusal] why the answer so far was none @param {boolean} [mayStay] whether one is somebody already */
export function askWhoItIs(refusal = "", mayStay = false) {
  const dialog = find("start");
  if (address.withTokens) {
    find("explanation").textContent = "This server wants to know who you are.";
    for (const field of ["name", "token"]) {
      const input = find(field);
      input.hidden = input.disabled = input.labels[0].hidden = field === "name";
    }
  }
  find("refusal").textContent = refusal;
  find("refusal").hidden = !refusal;
  find("stay").hidden = !mayStay;
  find("name").value = address.me();
  const conversation = address.conversation() ?? "";
  find("room").value = address.isId(conversation) ? conversation : "general";
  if (!dialog.open) dialog.showModal();
}

find("start").addEventListener("submit", () => {
  if (address.withTokens) address.keepToken(find("token").value.trim());
  // Not by its search alone: where an address has a fragment, that would load nothing anew.
  location.assign(address.href(find("room").value, find("name").value));
});
