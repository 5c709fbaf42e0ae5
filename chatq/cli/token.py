"""``chatq token``: a token for development, as one's own backend would sign it."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from chatq.cli.options import Purpose, ending
from chatq.errors import BadSetting, BadUsage
from chatq.settings import load

MAX_SECONDS = 10 * 365 * 86400


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    examples = (
        "export CHATQ_JWT_SECRET=$(openssl rand -hex 32)  # here and for `chatq api`",
        "chatq token --user alice",
        "chatq token --user backend --service --expires 86400 --json",
    )
    end = ending(*examples, variables=("CHATQ_JWT_SECRET", "CHATQ_JWT_AUDIENCE"))
    app.command(epilog=end, rich_help_panel=Purpose.ACCESS)(token)


def token(
    *,
    user: Annotated[str, typer.Option(metavar="U", help="Whose token it is.")],
    service: Annotated[bool, typer.Option("--service", help="A service's: it acts for any user.")] = False,
    expires: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=MAX_SECONDS, help="How long it is valid.")
    ] = 3600,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document: token, userId, service, expiresAt.")
    ] = False,
) -> None:
    """Sign a token with CHATQ_JWT_SECRET and print it.

    Whoever has it is that user until it expires. It can be taken back only by another secret.
    """
    from chatq.access.tokens import sign  # noqa: PLC0415  # heavy
    from chatq.domain.clock import timestamp  # noqa: PLC0415  # heavy
    from chatq.domain.ids import CLIENT_ID_IN_WORDS, is_client_id  # noqa: PLC0415  # heavy
    from chatq.domain.wire import encode  # noqa: PLC0415  # heavy

    settings = load()
    if not is_client_id(user):
        raise BadUsage(f"--user {user[:140]!r}: {CLIENT_ID_IN_WORDS} are needed.")
    if settings.jwt_secret is None:
        raise BadSetting(
            "CHATQ_JWT_SECRET is not set, and tokens are signed with it: set it here and for `chatq api` to the same "
            "32 bytes or more, such as `openssl rand -hex 32` prints."
        )
    expires_at = int(time.time()) + expires
    signed = sign(settings.jwt_secret, user, expires_at=expires_at, audience=settings.jwt_audience, service=service)
    if json:
        document = {"token": signed, "userId": user, "service": service, "expiresAt": timestamp(expires_at)}
        typer.echo(encode(document))
    else:
        typer.echo(signed)
