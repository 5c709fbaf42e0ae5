"""Which host names and which pages the web serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatq.errors import OriginRefused
from chatq.settings import load
from chatq.settings.loopback import is_loopback
from chatq.web.security import Gate


def gate(tmp_path: Path, **settings: str) -> Gate:
    return Gate(load(settings, {}, directory=tmp_path))


def request(method: str = "POST", host: str | None = "localhost:8000", origin: str | None = None) -> dict[str, Any]:
    environ = {"REQUEST_METHOD": method, "wsgi.url_scheme": "http"}
    if host is not None:
        environ["HTTP_HOST"] = host
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    return environ


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("chat.localhost", True),
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("[::1]", True),
        ("::1", True),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.example", False),
        ("0.0.0.0", False),  # noqa: S104  # a name like others here
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_names(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_loopback_server_is_known_under_loopback_names_only(tmp_path: Path) -> None:
    local = gate(tmp_path)
    for host in ("localhost", "localhost:1", "127.0.0.1:8000", "[::1]:8000", None):
        assert local.admit(request(host=host)) == []
    for host in ("rebound.example", "rebound.example:8000", "localhost.example", "[::2]:8000"):
        with pytest.raises(OriginRefused, match="CHATQ_ALLOWED_ORIGINS"):
            local.admit(request("GET", host=host))


def test_server_for_others_is_known_under_any_name(tmp_path: Path) -> None:
    assert gate(tmp_path, CHATQ_HOST="0.0.0.0").admit(request("GET", host="chat.example")) == []  # noqa: S104  # nothing listens


def test_allowed_origin_is_also_a_host_name(tmp_path: Path) -> None:
    proxied = gate(tmp_path, CHATQ_ALLOWED_ORIGINS="https://chat.example")
    assert proxied.admit(request("GET", host="chat.example")) == []
    headers = dict(proxied.admit(request(host="chat.example", origin="https://chat.example")))
    assert headers["Access-Control-Allow-Origin"] == "https://chat.example"


@pytest.mark.parametrize(
    "origin", ["http://localhost", "https://localhost:8000", "http://localhost:8000.example", "null", ""]
)
def test_other_origins_may_look_at_nothing_and_change_nothing(tmp_path: Path, origin: str) -> None:
    local = gate(tmp_path)
    assert local.admit(request("GET", origin=origin)) == []
    for method in ("POST", "PATCH", "DELETE", "PUT"):
        with pytest.raises(OriginRefused):
            local.admit(request(method, origin=origin))
    with pytest.raises(OriginRefused):
        local.check_origin(request("GET", origin=origin))


def test_same_origin_may(tmp_path: Path) -> None:
    local = gate(tmp_path)
    assert local.admit(request(origin="http://localhost:8000")) == []
    local.check_origin(request("GET", origin="http://localhost:8000"))
