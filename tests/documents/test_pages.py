"""The pages in docs do what they say, each in one go; those that need a browser or a proxy have tests of their own."""

from __future__ import annotations

import pytest

from tests.documents.conftest import Read
from tests.parts.root import ROOT

ELSEWHERE = {"tutorial.md", "production.md"}
PAGES = sorted({path.name for path in (ROOT / "docs").glob("*.md")} - ELSEWHERE)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_what_it_says(reader: Read, page: str) -> None:
    reader(f"docs/{page}").read()
