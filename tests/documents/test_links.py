"""Everything that the pages point to is there: files, headings, tests, words of the glossary."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.documents.markdown import anchors, links, prose
from tests.parts.root import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED = {path.name: path for path in PAGES}


@pytest.mark.parametrize("page", NAMED)
def test_links_lead_somewhere(page: str) -> None:
    path = NAMED[page]
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), f"{page}: {link}"
        assert found.is_relative_to(ROOT), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(found), f"{page}: {link}"


def test_every_page_is_in_the_list_of_the_readme() -> None:
    listed = {link for link in links(ROOT / "README.md") if link.startswith("docs/") and link.endswith(".md")}
    assert listed == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}


def test_every_picture_is_shown() -> None:
    pictures = set((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    assert pictures <= {(path.parent / link).resolve() for path in PAGES for link in links(path)}


def test_every_test_that_is_named_exists() -> None:
    path = ROOT / "docs" / "guarantees.md"
    named = re.findall(r"\[`(test_\w+)`\]\(\.\./([\w/]+\.py)\)", prose(path))
    assert len(named) > 40
    assert len(named) == len(re.findall(r"`test_\w+`", prose(path)))
    for name, file in named:
        assert name in functions(ROOT / file), f"{file}::{name}"


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_the_glossary_is_in_alphabetical_order() -> None:
    words = re.findall(r"^## (.+)$", prose(ROOT / "docs" / "glossary.md"), re.MULTILINE)
    assert words == sorted(words, key=str.lower)
    assert len(words) > 30


def test_every_benchmark_that_is_named_has_results() -> None:
    _, _, results = (ROOT / "tests" / "benchmarks" / "README.md").read_text().partition("## Last results")
    named = re.findall(r"\(`([a-z-]+)`[ ,)]", (ROOT / "docs" / "scaling.md").read_text())
    assert len(named) > 8
    for name in named:
        assert f"| `{name}` " in results, name
