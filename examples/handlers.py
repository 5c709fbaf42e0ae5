"""A handler of one's own: jobs called ``countWords`` count the words of a text.

Run a worker that knows it, in this folder, and give it a job:

    chatq worker --app handlers
    chatq enqueue countWords text='to be or not to be' --wait

A job runs at least once. If the function raises, it is tried again with growing waits, ``attempts`` times
in all; then the job rests in RQ's registry of failed jobs, with its traceback.
"""

from collections import Counter
from typing import Any

from redis import Redis
from rq.job import Job

from chatq import handler


def tell(job: Job, _connection: Redis, result: dict[str, int]) -> None:
    print(f"{job.id}: {sum(result.values())} words")


def complain(job: Job, _connection: Redis, kind: type[Exception], error: Exception, _trace: Any) -> None:
    print(f"{job.id}: {kind.__name__}: {error}")


@handler("countWords", attempts=3, timeout=30, on_success=tell, on_failure=complain)
def count_words(text: str) -> dict[str, int]:
    return dict(Counter(text.split()))
