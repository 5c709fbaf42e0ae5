"""What axe-core, the common checker of accessibility, finds on a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS = frozenset(("serious", "critical"))


def find_faults(page: Page) -> list[str]:
    """Return each rule that a page breaks in a way that is serious or worse, and where."""
    # What is still fading in has not its colours yet.
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})))")
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html']}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
