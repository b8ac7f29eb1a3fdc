"""What went wrong in a training or with its worker, told apart and put into one sentence.

This module must not know ray: what it said of a worker's death comes in as text.
"""

import os
import traceback

from ...trainers.memory import is_out_of_memory

MAX_WORKER_FAILURES = 3
"""Workers that die under a trial, one after the other and at no later epoch, before it is called failed."""

LESS_MEMORY = "train on fewer samples at once (recipe.micro_batch_size), or fewer trials (resources.max_concurrent)"

_SHORT_OF_MEMORY = "running low on memory"
"""How Ray's memory monitor says that it has ended a worker. Of a worker that the kernel ended, Ray knows no reason."""
_MACHINE_LOST = ("node was terminated", "node has died", "node died", "marked dead", "node failure")


def describe_error(exception: BaseException) -> str:
    """An exception as one sentence, with the last line of code it came from; being out of memory is told as such."""
    frames = traceback.extract_tb(exception.__traceback__)
    where = f" (at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""  # noqa: PTH119
    text = " ".join(str(exception).split())[:500]
    told = f"{type(exception).__name__}: {text}{where}"
    return f"out of memory: {LESS_MEMORY}; {told}" if is_out_of_memory(exception) else told


class WorkerFailures:
    """Counts the workers that die under each trial; one that got further than ever before starts the count anew.

    So a long trial outlives any number of deaths from outside, and one that kills its workers ends.
    """

    def __init__(self) -> None:
        self._furthest: dict[str, int] = {}
        self._failures: dict[str, int] = {}

    def record_epoch(self, trial_id: str, epoch: int) -> None:
        """A worker told of a trial's epoch, 1-based."""
        if epoch > self._furthest.get(trial_id, 0):
            self._furthest[trial_id] = epoch
            self._failures[trial_id] = 0

    def add(self, trial_id: str) -> bool:
        """Counts a death under a trial; whether that was the last of `MAX_WORKER_FAILURES` that got no further.

        >>> failures = WorkerFailures()
        >>> [failures.add("a"), failures.add("a")]
        [False, False]
        >>> failures.record_epoch("a", 1)
        >>> [failures.add("a"), failures.add("a"), failures.add("a")]
        [False, False, True]
        """
        self._failures[trial_id] = self._failures.get(trial_id, 0) + 1
        return self._failures[trial_id] >= MAX_WORKER_FAILURES


def is_external_failure(said: str) -> bool:
    """Whether a worker did not end by itself, as far as Ray knows: its machine was lost, or ran short of memory.

    >>> is_external_failure("The actor died because its node has died."), is_external_failure("End of file.")
    (True, False)
    """
    return any(words in said.lower() for words in (_SHORT_OF_MEMORY, *_MACHINE_LOST))


def format_worker_failure(said: str) -> str:
    """Why a trial failed under which workers kept dying.

    Args:
        said: by Ray, of the last death; empty where nothing is known.

    >>> format_worker_failure("Task was killed due to the node running low on memory. ...")[:78]
    'out of memory: its worker was ended 3 times because its machine ran short of m'
    >>> format_worker_failure("Worker exit detail: connection error code 2. End of file.")
    'its worker died 3 times while training it: out of memory, or killed from outside'
    """
    lower = said.lower()
    if _SHORT_OF_MEMORY in lower:
        told = f"its worker was ended {MAX_WORKER_FAILURES} times because its machine ran short of memory"
        return f"out of memory: {told}: {LESS_MEMORY}"
    if any(words in lower for words in _MACHINE_LOST):
        return f"its worker died {MAX_WORKER_FAILURES} times while training it: its machine was lost"
    return f"its worker died {MAX_WORKER_FAILURES} times while training it: out of memory, or killed from outside"
