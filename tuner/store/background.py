"""Background writing of results during training, which tolerates a store that does not answer."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread

from ..errors import Unreachable, ZerotuneError
from ..trial import TrialResult
from .locked import StoreLocked, wait_while_locked
from .writer import Store

RETRY_SECONDS = 30.0
"""Delay before the store is retried after a failure."""
WATCH_SECONDS = 0.5
"""Interval at which `Writer.close` tells how far it is."""


class Writer:
    """Writes results in order on its own thread, so that a slow store never delays a study.

    A failing store does not stop a study either. Unwritten results are kept in order, and the store is reopened every
    RETRY_SECONDS. Once it answers, all missing results are written and partially written ones are repaired. At the end,
    a SQLite store that another process has locked is waited for.

    The thread also opens the store, while the caller prepares the first trial: creating a database takes seconds.

    Args:
        open_store: opens the store; called again after every failure, on the writer's thread.
        known: earlier results, which may be missing from the store too.
        tell: called with a sentence when the store holds results of other journals, when it fails, when it recovers,
            and at the end if it is still failing. The second argument is whether results are missing from the store.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        known: Iterable[TrialResult],
        tell: Callable[[str, bool], None],
    ) -> None:
        self._open_store = open_store
        self._results = {result.trial.id: result for result in known}
        self._tell = tell
        self._store: Store | None = None
        self._told: set[str] = set()
        self._is_behind = bool(self._results)
        self._failure: Exception | None = None
        self._next_attempt = 0.0
        self._submitted = set(self._results)
        self._written: set[str] = set()
        self._is_abandoned = Event()
        self._first_opening: Future[None] = Future()
        self._queue: SimpleQueue[TrialResult | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="mlflow-writer", daemon=True)

    def start(self) -> None:
        """Start the thread that opens the store and writes, and return immediately."""
        self._thread.start()

    def wait_until_open(self) -> None:
        """Wait until the store is open, so that a wrong address is found before the first trial.

        Also returns if the store does not answer, which is reported through `tell`.

        Raises:
            BadInput: the address is invalid.
        """
        self._first_opening.result()

    def submit(self, result: TrialResult) -> None:
        """Queue a result for writing and return immediately."""
        self._submitted.add(result.trial.id)
        self._written.discard(result.trial.id)
        self._queue.put(result)

    @property
    def num_submitted(self) -> int:
        """Number of results that should be in the store."""
        return len(self._submitted)

    @property
    def num_written(self) -> int:
        """Number of results that are known to be in the store."""
        return len(self._written)

    def close(self, watch: Callable[[int, int], object] = lambda written, submitted: None) -> None:
        """Wait until all results are written or a last attempt has failed.

        Args:
            watch: called every `WATCH_SECONDS` with the numbers of results written and submitted.
        """
        self._queue.put(None)
        while not self._is_abandoned.is_set():
            self._thread.join(WATCH_SECONDS)
            if not self._thread.is_alive():
                return
            watch(self.num_written, self.num_submitted)

    def abandon(self) -> None:
        """Write nothing more than what is being written now. A later sync brings in the rest."""
        self._is_abandoned.set()

    def finish(self, action: Callable[[Store], object]) -> bool:
        """Write the results still missing after `close`, then run a final action on the store.

        Return whether everything is in the store. A failure of the action is reported like any other.
        """
        if self._failure is None and self._store is not None:
            try:
                wait_while_locked(partial(self._write_all, self._store, action))
                return True
            except ZerotuneError as error:
                self._failure = error
        if not isinstance(self._failure, ZerotuneError):
            raise self._failure or RuntimeError("the writer was never started")
        self._tell(f"{_sentence(self._failure)} The journal has the results that MLflow lacks.", True)
        return False

    def _run(self) -> None:
        try:
            self._store = self._open_and_tell()
        except Unreachable as error:
            self._fail(error)
        except BaseException as error:  # any error is raised by `wait_until_open`
            self._first_opening.set_exception(error)
            return
        self._first_opening.set_result(None)
        while True:
            try:
                result = self._queue.get(timeout=self._patience())
            except Empty:
                self._bring_in()
                continue
            if result is None:
                self._end()
                return
            self._results[result.trial.id] = result
            if self._failure is None and not self._is_abandoned.is_set():
                self._write(result)

    def _end(self) -> None:
        """Write what is missing, and the number of results."""
        if self._failure is not None or self._is_behind:
            try:
                wait_while_locked(self._try_again, tell=lambda sentence: self._tell(sentence, True))
            except StoreLocked:
                return
        if self._failure is None and self._store is not None:
            try:
                self._store.write_progress(num_results=len(self._results))
            except ZerotuneError as error:
                self._failure = error

    def _try_again(self) -> None:
        """Write all missing results.

        Raises:
            StoreLocked: another process has locked the store.
        """
        self._bring_in()
        if isinstance(self._failure, StoreLocked) and not self._is_abandoned.is_set():
            raise self._failure

    def _patience(self) -> float | None:
        """Return the seconds until the next attempt, or None if the store is not failing."""
        return None if self._failure is None else max(0.0, self._next_attempt - time.monotonic())

    def _write(self, result: TrialResult) -> None:
        if self._is_behind or self._store is None:
            self._bring_in()
            return
        try:
            self._store.write(result)
            self._written.add(result.trial.id)
        except Exception as error:  # after any error the study continues; the last attempt repairs or reports it
            self._fail(error)

    def _bring_in(self) -> None:
        """Write all missing results, reopening the store after a failure."""
        try:
            store = self._open_and_tell() if self._store is None else self._store
            self._write_all(store)
        except Exception as error:  # as in `_write`
            self._fail(error)
            return
        was_away, self._failure = self._failure is not None, None
        self._store, self._is_behind = store, False
        if was_away and not self._is_abandoned.is_set():
            self._tell("MLflow answers again, and has all results so far.", False)

    def _write_all(self, store: Store, action: Callable[[Store], object] = lambda store: None) -> None:
        store.sync(self._count(self._results.values()))
        action(store)

    def _count(self, results: Iterable[TrialResult]) -> Iterator[TrialResult]:
        """Yield the results, and count each as written once the next one is asked for."""
        for result in results:
            if self._is_abandoned.is_set():
                return
            yield result
            self._written.add(result.trial.id)

    def _open_and_tell(self) -> Store:
        store = self._open_store()
        for note in store.notes:
            if note not in self._told:
                self._told.add(note)
                self._tell(note, False)
        return store

    def _fail(self, error: Exception) -> None:
        was_away, self._failure = self._failure is not None, error
        self._store, self._is_behind = None, True
        self._next_attempt = time.monotonic() + RETRY_SECONDS
        if not was_away:
            self._tell(
                f"{_sentence(error)} The study continues: its journal keeps the results, and MLflow gets them when it "
                "answers again.",
                True,
            )


def _sentence(error: Exception) -> str:
    """Format a failure as a sentence. Unexpected errors give only their type, as they may hold credentials."""
    text = str(error) if isinstance(error, ZerotuneError) else f"MLflow cannot be written ({type(error).__name__})"
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
