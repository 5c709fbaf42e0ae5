"""The client for browsers, loaded by a page of another origin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page

from tests.parts.command import Chatq
from tests.parts.roles import Roles
from tests.parts.root import ROOT
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_MS


class Site:
    """A web site of somebody else's with one page, which runs one script."""

    script = ""

    def __init__(self) -> None:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(
                    f'<link rel="icon" href="data:,"><script type="module">{site.script}</script>'.encode()
                )

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def allowing(chatq: Chatq, valkey: Valkey, sqlite_url: str, site: Site) -> Iterator[Roles]:
    """An API that allows the site, and a worker."""
    roles = Roles(chatq, valkey.url, sqlite_url)
    roles.start_api(env={"CHATQ_ALLOWED_ORIGINS": site.origin})
    roles.start_worker()
    yield roles
    roles.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def script_of_the_readme(roles: Roles) -> str:
    found = re.search(r"^```js\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1].replace("http://127.0.0.1:8000", roles.url)


def test_allowed_page_sends_and_listens_as_the_readme_says(allowing: Roles, site: Site, page: Page) -> None:
    site.script = script_of_the_readme(allowing)
    with page.expect_console_message(lambda message: "hello from a page" in message.text) as heard:
        page.goto(site.origin)
    assert heard.value.text == "1 hello from a page"


def test_page_of_an_origin_that_is_not_allowed_cannot_load_it(roles: Roles, site: Site, page: Page) -> None:
    site.script = script_of_the_readme(roles)
    with page.expect_console_message(lambda message: "CORS" in message.text):
        page.goto(site.origin)


def send_three(page: Page, word: str) -> None:
    """Send messages and do not wait for what becomes of them."""
    page.evaluate(f"for (const n of [1, 2, 3]) void sent.push(chat.send('general', {{ content: `{word} ${{n}}` }}))")


def test_nothing_is_lost_or_doubled_when_the_server_goes_and_comes(allowing: Roles, site: Site, page: Page) -> None:
    site.script = script_of_the_readme(allowing).replace(
        "await chat.send",
        "Object.assign(globalThis, { chat, heard: [], sent: [] }); chat.on('event', (e) => heard.push(e)); //",
    )
    page.goto(site.origin)
    page.wait_for_function("globalThis.chat?.state === 'online'")
    unsayable = "chat.send('general', { content: 'n', metadata: { n: 1n } }).catch((error) => error.name)"
    assert page.evaluate(unsayable) == "TypeError"
    send_three(page, "before")
    allowing.chatq.close()
    page.wait_for_function("chat.state === 'offline'")
    send_three(page, "during")
    # The browser says that the network has come back: nobody waits out a pause.
    allowing.start_api(env={"CHATQ_ALLOWED_ORIGINS": site.origin})
    allowing.start_worker()
    page.evaluate("dispatchEvent(new Event('online'))")
    page.evaluate("Promise.all(sent)")
    page.wait_for_function("heard.length === 6")
    heard = page.evaluate("heard.map((event) => [event.seq, event.message.content])")
    contents = [*(f"before {n}" for n in (1, 2, 3)), *(f"during {n}" for n in (1, 2, 3))]
    assert heard == [[number, content] for number, content in enumerate(contents, 1)]
