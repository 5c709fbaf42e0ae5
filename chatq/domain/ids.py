"""Identifiers: which ones clients may choose, and how chatq computes its own.

Every message id and every job id that chatq makes is a UUID whose twelve bits behind the version digit
are a hash of the conversation (:func:`conversation_bits`). A job that names only a message finds its
lane by arithmetic, without a look-up.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from functools import lru_cache

CLIENT_ID_PATTERN = r"^[A-Za-z0-9._:@+~-]{1,128}\Z"
"""What clients may choose as an id: conversations, users, ``clientMessageId``, members."""
CLIENT_ID_IN_WORDS = "1 to 128 characters of A-Z a-z 0-9 . _ : @ + ~ -"

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"
"""A UUID in its canonical spelling (RFC 9562, section 4): lower case, with hyphens."""

MAX_JOB_ID = 128
"""How long the id of a job may be; RQ's clients may choose longer ones."""

_UUID = re.compile(UUID_PATTERN)
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN)

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The digit behind the conversation's, by the one that was drawn: its two upper bits are always 10."""


def is_uuid(text: str) -> bool:
    """Tell whether ``text`` is a UUID in canonical spelling."""
    return _UUID.match(text) is not None


def is_client_id(text: str) -> bool:
    """Tell whether ``text`` may serve as an id that a client chooses."""
    return _CLIENT_ID.match(text) is not None


@lru_cache(maxsize=65536)
def conversation_bits(conversation_id: str) -> int:
    """Return the conversation's twelve-bit hash (0 to 4095): the first bits of its SHA-256."""
    digest = hashlib.sha256(conversation_id.encode()).digest()
    return digest[0] << 4 | digest[1] >> 4


def lane_of(conversation_id: str, lanes: int) -> int:
    """Return the number of the lane, 0 to ``lanes - 1``, in which a conversation's jobs lie."""
    return conversation_bits(conversation_id) % lanes


def lane_of_id(message_id: str, lanes: int) -> int:
    """Return the lane of the conversation that a message belongs to, from the message's id alone.

    ``message_id`` must satisfy :func:`is_uuid`; the three hexadecimal digits after the version digit are
    the conversation's bits.
    """
    return int(message_id[15:18], 16) % lanes


def computed_id(conversation_id: str, sender_id: str, client_message_id: str) -> str:
    """Return the id that a message with this client id has, now and for ever: a UUIDv8.

    The same three inputs always give the same id, so that a repeated request is recognised without a
    look-up. RFC 9562, section 5.8: 48 and 62 free bits are the start of a SHA-256 over the three inputs
    (none of which can contain the separator), the twelve between them the conversation's.
    """
    text = f"{conversation_id}\0{sender_id}\0{client_message_id}"
    return _uuid(hashlib.sha256(text.encode()).hexdigest(), version=8, bits=conversation_bits(conversation_id))


def is_computed(job_id: str) -> bool:
    """Tell whether an id may be asked for again: whether it is not a UUID that was drawn for one job alone."""
    return not is_uuid(job_id) or job_id[14] not in "47"


def new_id(conversation_id: str, now_ms: int | None = None) -> str:
    """Return a fresh UUIDv7 (RFC 9562, section 5.7) with the conversation's bits in ``rand_a``.

    ``now_ms`` is the time in milliseconds since the epoch, by default the clock's.
    """
    return new_id_with_bits(conversation_bits(conversation_id), now_ms)


def new_id_about(message_id: str) -> str:
    """Return a fresh UUIDv7 for a job about ``message_id``, which lies in the same lane as the message."""
    return new_id_with_bits(int(message_id[15:18], 16))


def new_id_with_bits(bits: int, now_ms: int | None = None) -> str:
    """Return a fresh UUIDv7 that carries these twelve conversation bits."""
    millis = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return _uuid(f"{millis & 0xFFFFFFFFFFFF:012x}0000{os.urandom(8).hex()}", version=7, bits=bits)


def _uuid(digits: str, *, version: int, bits: int) -> str:
    """Return a UUID of 32 or more hexadecimal digits: all but the version's, the variant's and the conversation's."""
    return f"{digits[:8]}-{digits[8:12]}-{version}{bits:03x}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
