"""What a request is that can be made over HTTP: its address, what it carries, and what may come back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from chatq import errors
from chatq.errors import ChatqError

HTML, JSON, SCRIPT = "text/html", "application/json", "text/javascript"


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that the address or the head of a request says."""

    place: Literal["path", "query", "header"]
    name: str
    kind: Any
    """A wire type."""
    meaning: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A good end."""

    status: int
    meaning: str
    body: type | str | None = None
    """A wire type; or the media type of what is none; or nothing."""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A request, and all that may come back."""

    name: str
    method: str
    path: str
    topic: str
    summary: str
    replies: tuple[Reply, ...]
    errors: tuple[type[ChatqError], ...] = ()
    """Those of its own; others follow from what it has."""
    parameters: tuple[Parameter, ...] = ()
    body: tuple[type, ...] = ()
    """Wire types, of which the request carries one."""
    body_required: bool = True
    about: str = ""
    """More than fits into the summary, in Markdown."""

    @property
    def rule(self) -> str:
        """The path as Flask writes it: ``{messageId}`` is ``<message_id>``."""
        return re.sub(r"([A-Z])", r"_\1", self.path.replace("{", "<").replace("}", ">")).lower()

    @property
    def needs_caller(self) -> bool:
        """Whether it has to be known who asks."""
        return self.path.startswith("/api/")

    @property
    def problems(self) -> set[type[ChatqError]]:
        """All errors that may come back."""
        found: set[type[ChatqError]] = {errors.OriginRefused, errors.ChatqError, *self.errors}
        if self.needs_caller:
            found |= {errors.InvalidFields, errors.NotAuthenticated, errors.Forbidden, errors.NotReady}
        if self.body:
            found |= {
                errors.RequestRefused, errors.MalformedJson, errors.RequestTimeout, errors.TooLarge,
                errors.UnsupportedMediaType,
            }  # fmt: skip
        if "{" in self.path:
            # With a slash in what stands for a name, it is another address.
            found |= {errors.NotFound}
        return found
