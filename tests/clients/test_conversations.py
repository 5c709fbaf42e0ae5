"""What a client asks for over HTTP: its conversations, who is in them, messages and jobs, and that messages change."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread

import pytest

from tests.clients.conftest import Open
from tests.clients.driven import Refused
from tests.parts.roles import Roles, fresh


def test_conversation_is_created_filled_listed_and_shown(open_client: Open, roles: Roles) -> None:
    conversation, bob = fresh(), f"bob-{fresh()}"
    alice = open_client()
    created = alice.do("createConversation", conversationId=conversation, title="Tea", members=["carol"])
    assert created["title"] == "Tea"
    alice.do("addMember", conversationId=conversation, userId=bob)
    alice.do("join", conversationId=conversation, since=0)
    alice.do("send", conversationId=conversation, content="the kettle is on")
    alice.wait(lambda: alice.contents(conversation) == ["the kettle is on"])

    found = alice.do("conversation", conversationId=conversation)
    assert {member["userId"]: member["role"] for member in found["members"]} == {
        "alice": "owner",
        bob: "member",
        "carol": "member",
    }
    (listed,) = open_client(userId=bob).do("conversations")
    assert (listed["id"], listed["title"], listed["unreadCount"]) == (conversation, "Tea", 1)
    assert listed["lastMessage"]["content"] == "the kettle is on"

    with pytest.raises(Refused, match="conversation-exists"):
        open_client(userId=bob).do("createConversation", conversationId=conversation)
    assert open_client(userId=bob).do("createConversation")["id"]


def test_message_is_edited_and_deleted(open_client: Open, roles: Roles) -> None:
    conversation = fresh()
    alice = open_client()
    alice.do("join", conversationId=conversation, since=0)
    message = alice.do("send", conversationId=conversation, content="draft")["messageId"]
    alice.do("edit", messageId=message, content="final")
    assert alice.expect("messageEdited")["message"]["content"] == "final"
    alice.do("delete", messageId=message)
    assert alice.expect("messageDeleted")["messageId"] == message
    with pytest.raises(Refused, match="message-deleted"):
        alice.do("edit", messageId=message, content="too late")


def test_what_became_of_a_message_and_of_its_jobs_can_be_asked(open_client: Open, roles: Roles) -> None:
    # Given a message that was sent, then edited, then deleted
    conversation = fresh()
    alice = open_client()
    alice.do("join", conversationId=conversation, since=0)
    sent = alice.do("send", conversationId=conversation, content="draft")
    alice.expect("newMessage")
    stored = alice.do("message", messageId=sent["messageId"])
    edited = alice.do("edit", messageId=sent["messageId"], content="final")
    deleted = alice.do("delete", messageId=sent["messageId"])
    alice.expect("messageDeleted")
    # Then the server tells at each time where it stands, and which jobs have made it so
    assert (stored["state"], stored["message"]["content"]) == ("persisted", "draft")
    assert alice.do("message", messageId=sent["messageId"])["state"] == "deleted"
    jobs = [alice.do("job", jobId=accepted["jobId"]) for accepted in (sent, edited, deleted)]
    assert [(job["name"], job["state"]) for job in jobs] == [
        ("sendMessage", "finished"),
        ("editMessage", "finished"),
        ("deleteMessage", "finished"),
    ]
    # And of what there is not, it says so
    with pytest.raises(Refused, match="unknown-message"):
        alice.do("message", messageId="01a20baf-16b4-7d0f-ad8f-f976edb1b927")
    with pytest.raises(Refused, match="unknown-job"):
        alice.do("job", jobId="nothing")


@pytest.mark.parametrize("conversation", [".", ".."])
def test_what_an_address_would_take_for_a_folder_is_not_asked_for(open_client: Open, conversation: str) -> None:
    with pytest.raises(Refused, match="invalid-fields"):
        open_client().do("conversation", conversationId=conversation)


def test_an_answer_that_breaks_off_is_none(open_client: Open) -> None:
    # Given a server that dies while it answers
    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"conversations": [')

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=answer, daemon=True).start()
        client = open_client(f"http://127.0.0.1:{server.getsockname()[1]}", userId="alice")
        # Then whoever asks is told so
        with pytest.raises(Refused, match=r"no-answer|NoAnswer"):
            client.do("conversations")
        server.shutdown(socket.SHUT_RDWR)
