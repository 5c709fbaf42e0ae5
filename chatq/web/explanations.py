"""What each code of an error means, why it comes, and what to do: the one place that says so, for ``/problems``."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from chatq import errors
from chatq.errors import ChatqError, FieldProblem


class Repeat(Enum):
    """Whether it makes sense to send the same once more; a value says so in words."""

    NEVER = "No. The same request would be refused again: change it first."
    ONCE_ALLOWED = (
        "Not before something else has changed: the same request is refused as long as things are as they are."
    )
    LATER = (
        "Yes, the same request, after the seconds that Retry-After names, and then ever more rarely. A message keeps "
        "its clientMessageId, or the request its Idempotency-Key: then it has one effect, however often it was sent."
    )


class Explanation(NamedTuple):
    """Of one code."""

    example: ChatqError
    """As a client could meet it; it has the code and the status."""
    meaning: str
    causes: tuple[str, ...]
    remedy: str
    repeat: Repeat


_ALL = (
    Explanation(
        errors.RequestRefused("Sec-WebSocket-Key must be 16 bytes in base64."),
        "The request breaks a rule of HTTP or of the websocket's handshake.",
        ("A header cannot be read.", "The chunks of the body are none.", "The address cannot be decoded."),
        "Let a library for HTTP write the request, and see in `detail` what is wrong with this one.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.ConversationExists(),
        "A conversation with this id exists, and somebody else owns it.",
        (
            "Two users chose the same id.",
            "The caller created it once, and has left it since or is only a member now.",
        ),
        "Choose another id, or leave the id out and use the one in the answer. To enter the conversation, have one of "
        "its owners add you.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.DatabaseUnavailable(),
        "The database does not answer, or does not fit this version of chatq. Messages are accepted all the same, as "
        "far as the database need not be asked, and stored once it is back.",
        (
            "The database is down, or cannot be reached.",
            "Its schema is older or newer than this version needs; `chatq db upgrade` brings it up to date.",
            "Redis belongs to the database of another installation.",
        ),
        "Wait, and ask again. Whoever runs the server sees the cause in `/readyz` and in its log.",
        Repeat.LATER,
    ),
    Explanation(
        errors.DurabilityUnknown(),
        "Redis took the message, but did not confirm in time that it has survived what CHATQ_DURABILITY asks for. It "
        "may be done, or it may be lost.",
        ("The disk of Redis is slow, or full.", "With `replica`, no replica has answered."),
        "Send it again under the same `clientMessageId` or `Idempotency-Key`: if it was kept, that has no second "
        "effect. Without such an id, ask after it before you repeat it.",
        Repeat.LATER,
    ),
    Explanation(
        errors.Forbidden("You are not a member of this conversation."),
        "It is known who asks, and they may not do this.",
        (
            "The caller is not in the conversation, or not any more.",
            "The message is somebody else's, and the caller does not own the conversation.",
            "The request names a `senderId` or an `X-Chatq-User` that is not the token's subject.",
            "Somebody wants to tell that they are typing where they have not joined.",
        ),
        "Have an owner of the conversation add you, or act as yourself. A backend that acts for its users needs a "
        "token with the scope `chatq:service`.",
        Repeat.ONCE_ALLOWED,
    ),
    Explanation(
        errors.IdempotencyMismatch(),
        "A message or a change was sent under this id before, and what it said was something else. The first one "
        "counts.",
        (
            "A `clientMessageId` or `Idempotency-Key` was used for two different things.",
            "A program made the content anew for its second attempt, with another time in it, for example.",
        ),
        "For a repeat, send exactly what you sent before. For something new, choose a new id: a random UUID will do.",
        Repeat.NEVER,
    ),
    Explanation(
        ChatqError("Something went wrong on the server; its log says what."),
        "Something went wrong on the server that nobody foresaw. It is a fault of the server, not of the request.",
        ("A fault in chatq, or in what it runs on.",),
        "Send the same again, with a `clientMessageId` or `Idempotency-Key` in case it was done after all. If it "
        "happens again, tell whoever runs the server at what time: its log has the rest.",
        Repeat.LATER,
    ),
    Explanation(
        errors.InvalidFields(
            [
                FieldProblem("conversationId", "is missing"),
                FieldProblem("messageData.content", "is blank"),
            ]
        ),
        "The document is well-formed, but some of its fields, or the address's parameters, cannot be used.",
        (
            "A field is missing, has a value of the wrong kind, or is not known.",
            "An id has a character that ids do not have: they consist of A-Z a-z 0-9 . _ : @ + ~ -",
            "Content is blank, or has a NUL character in it.",
        ),
        "`errors` names each field that is wrong, and says what is wrong with it: mend them all at once.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.LastOwner(),
        "A conversation with members has an owner, and this one would have none any more.",
        (
            "Its only owner wants to leave, or to become a member.",
            "Somebody wants to remove its only owner.",
        ),
        "Make somebody else an owner first: `PUT …/members/{user}` with the role `owner`.",
        Repeat.ONCE_ALLOWED,
    ),
    Explanation(
        errors.MalformedJson("The document is not well-formed JSON: unexpected end of data."),
        "The body, or the frame, is no JSON text in UTF-8.",
        (
            "There is no body, or it ends too early.",
            "It is encoded in something else than UTF-8, or a string in it holds half a surrogate pair.",
            "It is nested too deeply.",
            "A frame is a binary one.",
        ),
        "Let a library write the JSON. `detail` says at which character reading it ended.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.MessageDeleted(),
        "The message has been deleted. Its content is gone for good, and cannot be changed any more.",
        ("Its author or an owner of the conversation deleted it.",),
        "Send a new message.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.MethodNotAllowed("Allowed here: OPTIONS, POST."),
        "There is something at this address, but not for this method.",
        ("The method is another one than the documents name.",),
        "Use one of the methods in the header `Allow`; `/docs` lists what they do.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.NotFound(),
        "There is nothing at this address.",
        ("The path is misspelled, or has a slash at its end that should not be there.",),
        "See `/docs` for the addresses that there are.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.NotReady("redis: Redis does not answer."),
        "The server cannot work at present, because something that it needs does not answer.",
        (
            "Redis or the database is down: `/readyz` says which.",
            "The token cannot be checked, because its issuer's public keys cannot be fetched.",
        ),
        "Wait, and ask again.",
        Repeat.LATER,
    ),
    Explanation(
        errors.OriginRefused(
            "Pages of 'https://example.com' may not use this server; CHATQ_ALLOWED_ORIGINS lists those that may."
        ),
        "The request was made by a web page of another origin, or goes to a host name that this server is not known "
        "by.",
        (
            "A page of another origin wants to change something, or to open a websocket.",
            "The server stands behind a proxy, and does not know under which name.",
        ),
        "Whoever runs the server adds the origin, like https://chat.example.com, to CHATQ_ALLOWED_ORIGINS.",
        Repeat.ONCE_ALLOWED,
    ),
    Explanation(
        errors.Overloaded(retry_after=5),
        "More waits than the server takes, so it refuses new work before anything can be lost. Nothing of this request "
        "was queued.",
        (
            "More is sent than the workers store: CHATQ_MAX_QUEUE_DEPTH messages are waiting.",
            "No worker is running, and the oldest message has waited for an hour.",
            "Redis has little memory left.",
        ),
        "Wait as long as Retry-After says, and send the same again. Whoever runs the server starts workers, or gives "
        "Redis more memory.",
        Repeat.LATER,
    ),
    Explanation(
        errors.RedisUnavailable("Redis does not answer: connection refused."),
        "Redis, which holds the queue, cannot be used. Nothing was accepted that was not answered with 202.",
        ("Redis is down, is restarting, or cannot be reached.", "It refuses to write, or lacks what chatq needs."),
        "Send the same again later. Whoever runs the server asks `chatq redis-check` for the cause and its remedy.",
        Repeat.LATER,
    ),
    Explanation(
        errors.RateLimited("You may send 600 messages in a minute.", 1, quota=600, window_seconds=60),
        "The user has sent or done more than CHATQ_RATE_LIMIT allows. Nothing of this request was queued.",
        ("The user, in all their sockets and programs together, was faster than the limit.",),
        "Wait as long as `retryAfter` and the header Retry-After say. The headers RateLimit and RateLimit-Policy of "
        "each answer tell beforehand how much is left.",
        Repeat.LATER,
    ),
    Explanation(
        errors.RequestTimeout("Nothing of the body came for 20 seconds."),
        "The server began to read the request, and waited for the rest of it in vain.",
        ("The connection is very slow, or was cut.", "Content-Length names more bytes than were sent."),
        "Send the whole request, over a new connection.",
        Repeat.LATER,
    ),
    Explanation(
        errors.TooLarge("content has 20000 bytes; at most 16384 are allowed."),
        "The content, its metadata or the request is larger than this server takes.",
        (
            "A message's content has more bytes in UTF-8 than CHATQ_MAX_CONTENT_BYTES.",
            "Its metadata have more than 16 KiB as JSON.",
        ),
        "Send less, in several messages if need be, or store it elsewhere and send where it is.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.NotAuthenticated("A token is needed: `Authorization: Bearer …`."),
        "It is not known who asks.",
        (
            "There is no token, over a websocket no `auth` yet.",
            "The token has expired, is not valid yet, or is meant for another audience.",
            "It was signed with another key than the server knows.",
        ),
        "Get a token from your backend, and send it in the header `Authorization: Bearer …`, or in the frame `auth`. "
        "For development, `chatq token --user NAME` signs one.",
        Repeat.ONCE_ALLOWED,
    ),
    Explanation(
        errors.UnknownConversation(),
        "There is no conversation with this id.",
        ("Nobody has created it.", "The id is misspelled: upper and lower case differ."),
        "Create it: `POST /api/conversations`. Only in development mode the first message does so.",
        Repeat.ONCE_ALLOWED,
    ),
    Explanation(
        errors.UnknownJob(),
        "Nothing is known of a job with this id.",
        ("The id is misspelled.", "The job is done, and what it left behind is not kept for ever."),
        "To learn what became of a message, ask after the message: `GET /api/messages/{messageId}`.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.UnknownMessage(),
        "There is no message with this id.",
        (
            "The id is misspelled, or belongs to another installation.",
            "The message failed or expired, so there is nothing to change or delete.",
        ),
        "Use the `messageId` of a 202 or an `accepted`, or the `id` of a message that you were shown.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.UnknownType("No frame has the type 'sned'; known are auth, join, leave, send, status, typing, ping."),
        "The websocket does not know frames of this type.",
        ("The type is misspelled.", "It is one that only the server sends."),
        "`detail` lists the types that are known; `/docs` tells what they are for.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.UnsupportedMediaType("The body is 'text/plain'; application/json is understood here."),
        "The request says that its body is something else than JSON.",
        ("The header Content-Type is missing a value, or names a form or a text.",),
        "Send JSON, and say so: `Content-Type: application/json`.",
        Repeat.NEVER,
    ),
    Explanation(
        errors.UpgradeRequired(),
        "At this address there is a websocket, and nothing else.",
        ("It was opened as a page, or asked for with a plain request.", "A proxy does not pass the header Upgrade on."),
        "Open it with a websocket client, version 13 of the protocol. A proxy in between must be told to let "
        "websockets pass.",
        Repeat.NEVER,
    ),
)

EXPLANATIONS = {
    explanation.example.code: explanation for explanation in sorted(_ALL, key=lambda each: each.example.code)
}
"""By code, in alphabetical order: every code that a client can meet."""
