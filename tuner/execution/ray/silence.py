"""Notice workers that train and have not been heard of for long, which may be a hang or a long epoch.

This module must not know Ray, nor what a trial is.
"""

import time
from collections.abc import Callable

SHORTEST_SILENCE = 600.0
"""Seconds without a message before a worker is told about, however short the others' silences were."""

TIMES_LONGEST = 5.0
"""A silence is long that lasts as many times the longest one which ended by itself."""


class SilenceWatch:
    """Keep the time of each worker's last message.

    Args:
        now: returns the time in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[str, float] = {}
        self._told_after: dict[str, float] = {}
        self._longest = 0.0

    def begin(self, worker: str) -> None:
        """Start the clock of a worker that is given something to train."""
        self._since[worker] = self._now()
        self._told_after.pop(worker, None)

    def hear(self, worker: str) -> None:
        """Record a message of a worker; only those that train are expected to send any."""
        if worker in self._since:
            self._longest = max(self._longest, self._now() - self._since[worker])
            self.begin(worker)

    def end(self, worker: str) -> None:
        """Stop the clock of a worker that trains nothing any more, or is gone."""
        self._since.pop(worker, None)

    def find_silent(self) -> dict[str, float]:
        """Return the seconds of silence of each worker to tell about now: once, then whenever they have doubled.

        >>> time, watch = [0.0], SilenceWatch(lambda: time[0])
        >>> watch.begin("one")
        >>> for time[0] in (500.0, 700.0, 900.0, 1500.0):
        ...     print(watch.find_silent())
        {}
        {'one': 700.0}
        {}
        {'one': 1500.0}
        """
        limit, found = max(SHORTEST_SILENCE, TIMES_LONGEST * self._longest), {}
        for worker, since in self._since.items():
            silence = self._now() - since
            if silence >= self._told_after.get(worker, limit):
                found[worker] = silence
                self._told_after[worker] = 2 * silence
        return found
