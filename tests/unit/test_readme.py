"""The README says what the code says."""

from __future__ import annotations

from chatq.settings.variables import VARIABLES
from tests.parts.root import ROOT

README = ROOT / "README.md"


def test_the_settings_are_those_of_the_code() -> None:
    lines = README.read_text().splitlines()
    begin = lines.index("| variable | by default | meaning |") + 2
    end = lines.index("", begin)

    told = lines[begin:end]

    assert told == [f"| `{v.name}` | {v.default} | {v.meaning} |" for v in VARIABLES]
