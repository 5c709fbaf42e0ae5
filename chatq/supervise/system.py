"""The processes of ``chatq all``: which there are, in which order they start, and in which they end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from chatq.errors import BadUsage
from chatq.settings import Settings
from chatq.supervise.readiness import ApiReadiness
from chatq.supervise.role import HANDLER_GRACE, Role, chatq_command
from chatq.supervise.valkey import EmbeddedValkey
from chatq.supervise.watchdog import hang_timeout

SOURCES, WORKERS, STORES = 0, 1, 2
"""Order of the end: first what makes new work, then what does it, last what keeps it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_OWN_NAMES = re.compile(r"chatq|valkey|db|api|handlers|worker(\.[0-9]+)?")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # not to bind to, but to recognise


def roles(
    settings: Settings,
    *,
    valkey: EmbeddedValkey | None,
    workers: int,
    app: str | None = None,
    insecure: bool = False,
    companions: Sequence[tuple[str, str]] = (),
) -> list[Role]:
    """Return the processes in the order of their start.

    Args:
        settings: also say how many API processes there are.
        valkey: the embedded server, if there is to be one.
        workers: processes that do message jobs; with 0 of them, handlers are not run either.
        app: module of the user's handlers.
        insecure: passed on to the API.
        companions: names and shell commands of the user's own processes.
    """
    data_dir = ("--data-dir", str(settings.data_dir))
    environment = {"CHATQ_LOG_FORMAT": settings.log_format, "PYTHONUNBUFFERED": "1"}
    found = [] if valkey is None else [valkey.role(STORES)]
    found.append(Role("db", chatq_command("db", "upgrade", *data_dir), environment, once=True))
    for number in range(workers):
        name = "worker" if workers == 1 else f"worker.{number + 1}"
        command = chatq_command("worker", "--only", "messages", *data_dir)
        found.append(Role(name, command, environment, rank=WORKERS, timeout=hang_timeout(settings)))
    if workers:
        command = chatq_command("worker", "--only", "handlers", *data_dir, *(("--app", app) if app else ()))
        found.append(Role("handlers", command, environment, rank=WORKERS, grace=HANDLER_GRACE))
    found.extend(_companion(name, command, settings) for name, command in companions)
    if settings.api_workers:
        found.append(_api(settings, environment, data_dir, insecure))
    return found


def _api(settings: Settings, environment: dict[str, str], data_dir: tuple[str, str], insecure: bool) -> Role:
    where = ("--host", settings.host, "--port", str(settings.port), "--api-workers", str(settings.api_workers))
    near = _EVERYWHERE.get(settings.host, settings.host)
    return Role(
        "api",
        chatq_command("api", *where, *data_dir, *(["--insecure"] if insecure else [])),
        environment,
        rank=SOURCES,
        ready=ApiReadiness(near, settings.port),
        ready_says=f"ready: the page is at http://{f'[{near}]' if ':' in near else near}:{settings.port}/",
    )


def _companion(name: str, command: str, settings: Settings) -> Role:
    return Role(
        name,
        ("/bin/sh", "-c", command),
        # So that a `chatq enqueue` in it means this system.
        {
            "CHATQ_DATA_DIR": str(settings.data_dir),
            "CHATQ_HOST": settings.host,
            "CHATQ_PORT": str(settings.port),
            "PYTHONUNBUFFERED": "1",
        },
        rank=SOURCES,
        may_end=True,
        whole_group=True,
    )


def read_companions(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Return the names and commands of ``--with NAME=COMMAND``.

    Raises:
        BadUsage: one is not of that form, or its name is taken.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, command = text.partition("=")
        if not equals or not command.strip():
            raise BadUsage(f"--with {text!r}: NAME=COMMAND is needed, such as --with 'web=npm run dev'.")
        if not _NAME.fullmatch(name):
            raise BadUsage(f"--with {text!r}: a name has 1 to 32 letters, digits and '_.-'.")
        if _OWN_NAMES.fullmatch(name):
            raise BadUsage(f"--with {text!r}: the name {name} belongs to chatq itself; choose another.")
        if name in found:
            raise BadUsage(f"--with {text!r}: the name {name} is used twice.")
        found[name] = command
    return list(found.items())
