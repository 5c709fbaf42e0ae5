"""What a run calls its own."""

from __future__ import annotations

import secrets

from chatq.ops.bench.size import CONVERSATIONS


class Names:
    """Conversations and a sender that nobody else has: ``bench:<run id>:<n>``."""

    def __init__(self) -> None:
        self.run_id = secrets.token_hex(6)
        self.prefix = f"bench:{self.run_id}:"
        self.sender = f"bench:{self.run_id}"
        self.conversations = [f"{self.prefix}{number}" for number in range(CONVERSATIONS)]
        self.crowd = f"{self.prefix}{CONVERSATIONS}"
        """The conversation of the fan-out."""

    @property
    def all(self) -> list[str]:
        """All conversations."""
        return [*self.conversations, self.crowd]
