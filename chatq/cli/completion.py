"""What a shell offers when somebody presses Tab: names of jobs, and of conversations if the database is quick."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

import typer

from chatq.errors import ChatqError

PATIENCE_SECONDS = 1.5
"""How long the database has to answer; then nothing is offered."""

_JOBS = {
    "sendMessage": "store a new message",
    "editMessage": "give a message new content",
    "deleteMessage": "erase a message's content",
    "updateMessageStatus": "record what a user has received or read",
}


def job_names(incomplete: str) -> list[tuple[str, str]]:
    """Return chatq's own jobs whose names begin so, with what each does."""
    return [(name, does) for name, does in _JOBS.items() if name.startswith(incomplete)]


def conversation_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Return the conversations whose ids begin so; none if that cannot be told at once, whatever the reason."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # heavy

    from chatq.settings import load  # noqa: PLC0415  # heavy
    from chatq.store import schema  # noqa: PLC0415  # heavy
    from chatq.store.completion import find_conversation_ids  # noqa: PLC0415  # heavy
    from chatq.store.engine import create_engine  # noqa: PLC0415  # heavy

    found: list[str] = []
    try:
        engine = create_engine(load({"CHATQ_DATA_DIR": context.params.get("data_dir")}).database_url)
    except (ChatqError, SQLAlchemyError, OSError):
        return found

    def ask() -> None:
        with suppress(ChatqError, SQLAlchemyError, OSError):
            # Asking would make the file of a database that is not there.
            schema.check(engine)
            found.extend(find_conversation_ids(engine, incomplete))

    # Some waits of a driver nothing can interrupt: the process ends without its thread.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE_SECONDS)
    return list(found)
