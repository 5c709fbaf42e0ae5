"""Which chatq this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Return chatq's own version."""
    try:
        return metadata.version("chatq")
    except metadata.PackageNotFoundError:
        return "(not installed)"
