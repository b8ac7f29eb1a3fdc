"""Profile a program from outside: time the calls of a method while a benchmark watches.

Nested calls and calls of several threads are each counted in full.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any
from unittest.mock import patch


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        begin: seconds since the epoch.
        end: seconds since the epoch.
        seconds: wall seconds.
        cpu_seconds: CPU seconds of the calling thread.
    """

    begin: float
    end: float
    seconds: float
    cpu_seconds: float


@contextmanager
def watching(owner: Any, name: str) -> Iterator[list[Call]]:
    """Record the calls of `owner.name`, a class's method or a module's function, in the order in which they ended."""
    calls: list[Call] = []
    with patch.object(owner, name, _timed(calls, getattr(owner, name))):
        yield calls


def _timed(calls: list[Call], method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def timed(*arguments: Any, **options: Any) -> Any:
        begin, start, cpu = time.time(), time.perf_counter(), time.thread_time()
        try:
            return method(*arguments, **options)
        finally:
            seconds, cpu_seconds = time.perf_counter() - start, time.thread_time() - cpu
            calls.append(Call(begin=begin, end=time.time(), seconds=seconds, cpu_seconds=cpu_seconds))

    return timed
