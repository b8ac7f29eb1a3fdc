"""Background writing of results during training, which tolerates a store that does not answer."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread

from ..errors import Unreachable, ZerotuneError
from ..trial import TrialResult
from .writer import Store

RETRY_SECONDS = 30.0
"""Delay before the store is retried after a failure."""


class Writer:
    """Writes results in order on its own thread, so that a slow store never delays a study.

    A failing store does not stop a study either. Unwritten results are kept in order, and the store is reopened every
    RETRY_SECONDS. Once it answers, all missing results are written and partially written ones are repaired.

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
        self._queue.put(result)

    def close(self) -> None:
        """Wait until all submitted results are written or a last attempt has failed."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            self._bring_in()
        if self._failure is None and self._store is not None:
            try:
                self._store.write_progress(num_results=len(self._results))
            except ZerotuneError as error:
                self._failure = error

    def finish(self, action: Callable[[Store], object]) -> bool:
        """Write the results still missing after `close`, then run a final action on the store.

        Return whether everything is in the store. A failure of the action is reported like any other.
        """
        if self._failure is None and self._store is not None:
            try:
                self._store.sync(self._results.values())
                action(self._store)
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
                return
            self._results[result.trial.id] = result
            if self._failure is None:
                self._write(result)

    def _patience(self) -> float | None:
        """Return the seconds until the next attempt, or None if the store is not failing."""
        return None if self._failure is None else max(0.0, self._next_attempt - time.monotonic())

    def _write(self, result: TrialResult) -> None:
        if self._is_behind or self._store is None:
            self._bring_in()
            return
        try:
            self._store.write(result)
        except Exception as error:  # after any error the study continues; the last attempt repairs or reports it
            self._fail(error)

    def _bring_in(self) -> None:
        """Write all missing results, reopening the store after a failure."""
        try:
            store = self._open_and_tell() if self._store is None else self._store
            store.sync(self._results.values())
        except Exception as error:  # as in `_write`
            self._fail(error)
            return
        was_away, self._failure = self._failure is not None, None
        self._store, self._is_behind = store, False
        if was_away:
            self._tell("MLflow answers again, and has all results so far.", False)

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
