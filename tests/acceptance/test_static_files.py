"""Files for browsers: what a browser needs to load them, and a page of another origin the client."""

from __future__ import annotations

from tests.parts.roles import Roles
from tests.parts.root import ROOT

ALLOWED = "https://app.example.com"


def test_script_is_served_as_a_module_for_pages_that_are_allowed(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api(env={"CHATQ_ALLOWED_ORIGINS": ALLOWED})
    http, path = sqlite_roles.http, "/static/chatq.js"

    answer = http.get(path)
    assert answer.status_code == 200
    assert answer.content == (ROOT / "chatq" / "web" / "static" / "chatq.js").read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers

    # A browser that has it asks whether it is still good.
    tag = answer.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        unchanged = http.get(path, headers={"If-None-Match": known, "Origin": ALLOWED})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
        assert unchanged.headers["access-control-allow-origin"] == ALLOWED
    assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200

    assert http.get(path, headers={"Origin": ALLOWED}).headers["access-control-allow-origin"] == ALLOWED
    assert "access-control-allow-origin" not in http.get(path, headers={"Origin": "https://evil.example"}).headers
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert http.post(path).status_code == 405
    for path in ("other.js", "..%2fpages%2fchat.html", "%2e%2e/pages/chat.html", "", "chatq.js/"):
        assert http.get(f"/static/{path}").status_code == 404
