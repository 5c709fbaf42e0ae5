"""Where RQ looks for the functions that jobs name: ``chatq.jobs.<name>``.

chatq's own workers never import from here. A stock ``rq worker default`` does, and finds the registered
handlers, if it has imported the modules that register them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatq.domain.jobs import FUNCTION_PREFIX, MESSAGE_FUNCTIONS
from chatq.errors import UnregisteredJob
from chatq.queue.handlers import REGISTRY


def __getattr__(name: str) -> Callable[..., Any]:
    function = FUNCTION_PREFIX + name
    if function in MESSAGE_FUNCTIONS:
        raise AttributeError(f"{function} is done by `chatq worker` only: a stock worker would break its promises")
    try:
        return REGISTRY.find(function).function
    except UnregisteredJob as error:
        raise AttributeError(error.detail) from None
