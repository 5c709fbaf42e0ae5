"""``chatq api``: the HTTP API, the websocket endpoint and the web pages."""

# ruff: noqa: PLC0415  # heavy imports wait until a command runs

from __future__ import annotations

from typing import Annotated

import typer

from chatq.cli.options import LOG, REDIS, TOKENS, ApiWorkers, DataDir, Host, Port, Purpose, ending
from chatq.errors import BadSetting, ExitCode

Insecure = Annotated[
    bool, typer.Option("--insecure", help="Listen beyond this machine although no tokens are asked for.")
]

VARIABLES = (
    *REDIS,
    "DATABASE_URL",
    "CHATQ_DATA_DIR",
    "CHATQ_HOST",
    "CHATQ_PORT",
    "CHATQ_API_WORKERS",
    "CHATQ_LANES",
    *TOKENS,
    "CHATQ_ALLOWED_ORIGINS",
    "CHATQ_DURABILITY",
    "CHATQ_MAX_CONTENT_BYTES",
    "CHATQ_MAX_QUEUE_DEPTH",
    "CHATQ_RATE_LIMIT",
    *LOG,
)

HELP_END = ending(
    "chatq api",
    "chatq api --port 8080 --api-workers 2",
    "REDIS_URL=redis://cache DATABASE_URL=postgresql://chatq@db/chatq chatq api",
    "CHATQ_JWT_SECRET=$(openssl rand -hex 32) chatq api --host 0.0.0.0",
    "chatq api --host 0.0.0.0 --insecure  # in a network that is trusted",
    variables=VARIABLES,
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("api", epilog=HELP_END, rich_help_panel=Purpose.RUN)(api)


def api(
    *,
    host: Host = None,
    port: Port = None,
    api_workers: ApiWorkers = None,
    data_dir: DataDir = None,
    insecure: Insecure = False,
) -> ExitCode:
    """Serve the HTTP API, the websocket endpoint and the web pages."""
    # Before any other import, so that every module finds the patched standard library.
    from gevent import monkey

    monkey.patch_all()

    from chatq import settings
    from chatq.cli.compose import build
    from chatq.cli.roles import prepare
    from chatq.web.app import create_app
    from chatq.web.listen import check_exposure
    from chatq.web.serve import Served, serve

    chosen = settings.load(
        {"CHATQ_HOST": host, "CHATQ_PORT": port, "CHATQ_API_WORKERS": api_workers, "CHATQ_DATA_DIR": data_dir}
    )
    if chosen.api_workers == 0:
        raise BadSetting("CHATQ_API_WORKERS is 0: an API without processes cannot serve; 1 or more are needed.")
    if not (insecure or chosen.asks_for_tokens):
        check_exposure(chosen.host)
    if chosen.asks_for_tokens:
        # It is large: the processes share it if it is there before they are.
        from chatq.access import tokens  # noqa: F401  # for its being loaded
    prepare(chosen, "web")

    def make() -> Served:
        app = create_app(build(chosen))
        return Served(app, app.extensions["chatq.drain"])

    return serve(chosen, make)
