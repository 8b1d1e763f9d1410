"""The order and the limits of the tests of one mutant, as a pytest plugin.

Short tests come first, so that most mutants fail within moments. A mutant that loops is ended by processor time, which
a busy machine does not use up, and one that grows is ended by memory.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutmut.core import MutmutCallStack

#: mutmut's exit code of a mutant that took too long.
_TIMED_OUT = 36
_MEMORY_BYTES = 3 * 1024**3
_durations: dict[str, float] = {}


def pytest_configure() -> None:
    if "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", ""):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, resource.RLIM_INFINITY))
        signal.signal(signal.SIGVTALRM, lambda *_: os._exit(_TIMED_OUT))
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        # Who called whom is not asked for here, and noting it in a context variable has crashed Python 3.11.
        MutmutCallStack.set = lambda value: None
        MutmutCallStack.reset = lambda token: None
    stats = Path("mutmut-stats.json")
    if not _durations and stats.exists():
        _durations.update(json.loads(stats.read_text())["duration_by_test"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (_durations.get(item.nodeid, 0.0), item.nodeid))
    if os.environ.get("MUTANT_UNDER_TEST") == "":
        # mutmut runs all tests without a mutant before it begins; they have just passed, when it noted what each of them calls.
        del items[1:]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", ""):
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 + 8 * _durations.get(item.nodeid, 0.5))
    return (yield)
