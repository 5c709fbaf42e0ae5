"""What the system allows this process."""

from __future__ import annotations

import resource

import pytest


def allow_open_files(count: int) -> None:
    """Allow so many descriptors, or skip the test if this user may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"needs {count} open files; the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
