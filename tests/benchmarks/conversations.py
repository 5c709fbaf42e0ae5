"""The file that is fed: 88,032 lines, the first 2,500 conversations of ``chitchat-dataset``."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import chitchat_dataset

CONVERSATIONS = 2500
LINES = 88_032
BLANK = 10
"""Lines whose content is blank, which ``chatq enqueue`` reports and leaves out."""


def write_conversations(path: Path, conversations: int = CONVERSATIONS) -> None:
    """Write the lines of so many conversations, in their order and that of their utterances, as gzipped JSONL."""
    dataset = json.loads(Path(chitchat_dataset.__file__).with_name("dataset.json").read_text(encoding="utf-8"))
    with gzip.open(path, "wt", compresslevel=6, encoding="utf-8") as file:
        for conversation_id in itertools.islice(dataset, conversations):
            for turn in dataset[conversation_id]["messages"]:
                for utterance in turn:
                    line = {
                        "conversationId": conversation_id,
                        "senderId": utterance["sender"],
                        "content": utterance["text"],
                        "createdAt": utterance["timestamp"],
                    }
                    file.write(json.dumps(line) + "\n")
