"""``/problems``: a page that lists all codes of errors, and a page for each that tells what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from importlib import resources
from string import Template

import msgspec

from chatq.domain.wire import encode
from chatq.errors import NotFound
from chatq.web.answers import Answer, html_answer
from chatq.web.explanations import EXPLANATIONS, Explanation
from chatq.web.problems import describe, title
from chatq.web.security import page_headers

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ProblemPages:
    """The pages below ``/problems``."""

    def __init__(self) -> None:
        self._frame = Template((resources.files("chatq.web") / "pages" / "problem.html").read_text("utf-8"))

    def index(self) -> Answer:
        """Return the list of all codes."""
        lines = (
            f'<tr><td><a href="/problems/{code}"><code>{code}</code></a><td>{each.example.status}'
            f"<td>{_marked_up(_first_sentence(each.meaning))}"
            for code, each in EXPLANATIONS.items()
        )
        about = (
            "<p>An error over HTTP is a problem document, an error over the websocket a frame of the type "
            "<code>error</code>. Both have one of these codes, which stay as they are; programs may rely on them."
        )
        head = "<thead><tr><th scope=col>Code<th scope=col>HTTP status<th scope=col>Meaning</thead>"
        return self._page("Problems", f"{about}<table>{head}<tbody>{''.join(lines)}</table>")

    def show(self, code: str) -> Answer:
        """Return the page of a code.

        Raises:
            NotFound: there is no such code.
        """
        explanation = EXPLANATIONS.get(code)
        if explanation is None:
            raise NotFound(f"There is no problem with the code {code[:100]!r}.")
        return self._page(title(code), _explained(code, explanation))

    def _page(self, heading: str, content: str) -> Answer:
        document = self._frame.substitute(title=escape(heading), content=content)
        return html_answer(document, headers=page_headers(_POLICY))


def _explained(code: str, explanation: Explanation) -> str:
    example = msgspec.json.format(encode(describe(explanation.example, "POST")), indent=2).decode()
    return "\n".join((
        f"<p class=codes><code>{code}</code> <span>HTTP status {explanation.example.status}</span>",
        f"<p>{_marked_up(explanation.meaning)}",
        f"<h2>Why it happens</h2><ul>{''.join(f'<li>{_marked_up(cause)}' for cause in explanation.causes)}</ul>",
        f"<h2>What to do</h2><p>{_marked_up(explanation.remedy)}",
        f"<h2>Send it again?</h2><p>{_marked_up(explanation.repeat.value)}",
        "<h2>An example</h2><p>What it is in your case, <code>detail</code> says.",
        f'<pre tabindex="0"><code>{escape(example)}</code></pre>',
        f"<h2>Other codes</h2><ul class=others>{_links(other for other in EXPLANATIONS if other != code)}</ul>",
    ))  # fmt: skip


def _links(codes: Iterable[str]) -> str:
    return "".join(f'<li><a href="/problems/{code}">{code}</a>' for code in codes)


def _marked_up(text: str) -> str:
    return re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text, quote=False))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."
