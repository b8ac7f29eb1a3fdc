"""Describe failures of trainings and their workers in one sentence.

This module must not know Ray: Ray's text about a worker's death is passed in.
"""

import re
import traceback
from pathlib import Path
from typing import Final

from ...trainers.applications.failure import deepest_line, error_text
from ...trainers.memory import is_out_of_memory

MAX_WORKER_FAILURES: Final = 3
"""A trial fails after this many of its workers die in succession without reaching a later epoch."""

LESS_MEMORY: Final = (
    "train on fewer samples at once (recipe.micro_batch_size), or fewer trials (resources.max_concurrent)"
)

_SHORT_OF_MEMORY: Final = "running low on memory"
"""Ray's phrase for a worker that its memory monitor killed. It gives no reason for one that the kernel killed."""
_MACHINE_LOST: Final = ("node was terminated", "node has died", "node died", "marked dead", "node failure")
_EXCEPTION_LINE: Final = re.compile(r"(?:\w+\.)*(\w*(?:Error|Exception))(: .*)?")
_FRAME_LINE: Final = re.compile(r'File "([^"]+)", line (\d+)')


def describe_error(exception: BaseException) -> str:
    """Describe an exception in one sentence, with the last line of the user's code it came from, or of any code.

    A sentence about exhausted memory begins with "out of memory" and says what to change.
    """
    place = deepest_line(exception)
    if place is None and (frames := traceback.extract_tb(exception.__traceback__)):
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    text = error_text(exception)
    sentence = f"{type(exception).__name__}{f': {text}' if text else ''}{f' (at {place})' if place else ''}"
    return f"out of memory: {LESS_MEMORY}; {sentence}" if is_out_of_memory(exception) else sentence


def find_cause(text: str) -> str | None:
    """Return the exception at the end of a traceback that Ray surrounds with its own lines; None if there is none.

    >>> find_cause('''The actor died because of an error raised in its creation task
    ...   File "/site-packages/tuner/packing.py", line 12, in <module>
    ... ModuleNotFoundError: No module named 'torch'
    ... ''')
    "ModuleNotFoundError: No module named 'torch' (at packing.py:12)"
    >>> find_cause("Worker exit detail: connection error code 2. End of file.") is None
    True
    """
    lines = [line.strip() for line in text.splitlines()]
    for number in reversed(range(len(lines))):
        found = _EXCEPTION_LINE.fullmatch(lines[number])
        if found is None:
            continue
        frames = [frame for line in lines[:number] if (frame := _FRAME_LINE.match(line))]
        where = f" (at {Path(frames[-1][1]).name}:{frames[-1][2]})" if frames else ""
        return f"{found[1]}{(found[2] or '')[:500]}{where}"
    return None


class WorkerFailures:
    """Count the workers that die under each trial. An epoch later than any before resets the count.

    So a long trial survives any number of deaths from outside, and a trial that kills its workers ends.
    """

    def __init__(self) -> None:
        self._furthest: dict[str, int] = {}
        self._failures: dict[str, int] = {}

    def record_epoch(self, trial_id: str, epoch: int) -> None:
        """Record that a worker finished an epoch of a trial, 1-based."""
        if epoch > self._furthest.get(trial_id, 0):
            self._furthest[trial_id] = epoch
            self._failures[trial_id] = 0

    def add(self, trial_id: str) -> bool:
        """Count a death under a trial; return whether it was the last of `MAX_WORKER_FAILURES` without progress.

        >>> failures = WorkerFailures()
        >>> [failures.add("a"), failures.add("a")]
        [False, False]
        >>> failures.record_epoch("a", 1)
        >>> [failures.add("a"), failures.add("a"), failures.add("a")]
        [False, False, True]
        """
        self._failures[trial_id] = self._failures.get(trial_id, 0) + 1
        return self._failures[trial_id] >= MAX_WORKER_FAILURES


def is_external_failure(text: str) -> bool:
    """Whether, according to Ray, a worker was ended from outside: its machine was lost or ran short of memory.

    >>> is_external_failure("The actor died because its node has died."), is_external_failure("End of file.")
    (True, False)
    """
    return any(phrase in text.lower() for phrase in (_SHORT_OF_MEMORY, *_MACHINE_LOST))


def format_worker_failure(text: str) -> str:
    """Explain why a trial failed whose workers kept dying, given Ray's text about the last death.

    >>> format_worker_failure("Task was killed due to the node running low on memory. ...")[:78]
    'out of memory: its worker was ended 3 times because its machine ran short of m'
    >>> format_worker_failure("Worker exit detail: connection error code 2. End of file.")
    'its worker died 3 times while training it: out of memory, or killed from outside'
    """
    lower = text.lower()
    if _SHORT_OF_MEMORY in lower:
        sentence = f"its worker was ended {MAX_WORKER_FAILURES} times because its machine ran short of memory"
        return f"out of memory: {sentence}: {LESS_MEMORY}"
    if any(phrase in lower for phrase in _MACHINE_LOST):
        return f"its worker died {MAX_WORKER_FAILURES} times while training it: its machine was lost"
    return f"its worker died {MAX_WORKER_FAILURES} times while training it: out of memory, or killed from outside"
