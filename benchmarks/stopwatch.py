"""Where a program's time goes, seen from outside: the calls of a method, timed for as long as a benchmark watches.

Calls inside one another and of several threads are each counted in full.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest.mock import patch


@dataclass
class Stopwatch:
    """What the calls took.

    Attributes:
        calls: how many there were.
        seconds: of the clock, in all.
        cpu_seconds: of the calling threads, in all.
        begins: when each began, seconds since the epoch.
        end: when the last one ended.
    """

    calls: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    begins: list[float] = field(default_factory=list)
    end: float = 0.0


@contextmanager
def watching(owner: Any, name: str) -> Iterator[Stopwatch]:
    """Times every call of `owner.name`, a class's method or a module's function."""
    watch, method = Stopwatch(), getattr(owner, name)
    with patch.object(owner, name, _timed(watch, method)):
        yield watch


def _timed(watch: Stopwatch, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def timed(*arguments: Any, **options: Any) -> Any:
        watch.begins.append(time.time())
        begin, cpu = time.perf_counter(), time.thread_time()
        try:
            return method(*arguments, **options)
        finally:
            watch.calls += 1
            watch.seconds += time.perf_counter() - begin
            watch.cpu_seconds += time.thread_time() - cpu
            watch.end = time.time()

    return timed
