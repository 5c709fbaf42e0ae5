"""What is seen, or heard of, while a page is cut off and comes back."""

from __future__ import annotations

from playwright.sync_api import Page

_WATCH = """
() => {
  // Whatever is taken out of the list, or comes into it twice, is noted.
  globalThis.flickers = [];
  const note = (kind, node) => node.matches?.(".message") && flickers.push(`${kind} ${node.textContent}`);
  const count = (id) => document.querySelectorAll(`[data-id="${id}"]`).length;
  new MutationObserver((changes) => {
    for (const { addedNodes, removedNodes } of changes) {
      removedNodes.forEach((node) => note("removed", node));
      addedNodes.forEach((node) => count(node.dataset?.id) > 1 && note("twice", node));
    }
  }).observe(document.querySelector("#list"), { childList: true });
}
"""


def watch(page: Page) -> None:
    """Note from now on which messages are taken out of the list of a page, or come into it twice."""
    page.evaluate(_WATCH)


def flickers(page: Page) -> list[str]:
    """Return what was noted, if anything was watched."""
    noted: list[str] = page.evaluate("globalThis.flickers ?? []")
    return noted


def all_of_the_browser(complaints: list[str]) -> bool:
    """Tell whether only the browser itself complained: of each attempt that met no server, or one that is not ready."""
    return all("ERR_" in each or "WebSocket" in each or "503" in each for each in complaints)
