"""A thread that writes results while trainings go on, whether the store answers or not."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread

from ..errors import Unreachable, ZerotuneError
from ..trial import TrialResult
from .writer import Store

RETRY_SECONDS = 30.0
"""How long after a failure the store is tried again."""


class Writer:
    """Writer of results, in order, on one thread of its own: MLflow's pace never holds up a study.

    Nor does a store that fails break one. What it lacks is kept in order; every RETRY_SECONDS the store is opened anew,
    and once it answers all that it lacks is written, what a failure left half written put right.

    The store is opened there too, while the caller gets ready for the first trial: a new database takes seconds.

    Args:
        open_store: opens the store; called again after every failure, on the other thread.
        known: results there were before, which the store may lack too.
        tell: takes a sentence when the store fails, when it is there again, and at the end where it is not; with it,
            whether the store lacks results.
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
        self._is_behind = bool(self._results)
        self._failure: Exception | None = None
        self._next_attempt = 0.0
        self._first_opening: Future[None] = Future()
        self._queue: SimpleQueue[TrialResult | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="mlflow-writer", daemon=True)

    def start(self) -> None:
        """Open the store and start to write; return at once."""
        self._thread.start()

    def wait_until_open(self) -> None:
        """Wait before the first trial until the store is open, so that a wrong address costs none.

        Returns once the store is open, or has not answered, which is told.

        Raises:
            BadInput: the address cannot be used.
        """
        self._first_opening.result()

    def submit(self, result: TrialResult) -> None:
        """Take a result and return at once."""
        self._queue.put(result)

    def close(self) -> None:
        """Wait until everything submitted is written, or a last attempt has failed."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            self._bring_in()

    def finish(self, action: Callable[[Store], object]) -> bool:
        """Write what the store lacks after `close`, then what else belongs to it.

        Args:
            action: the last of the writing; its failure is told like any other.

        Returns:
            Whether all is in the store.
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
            self._store = self._open_store()
        except Unreachable as error:
            self._fail(error)
        except BaseException as error:  # whatever it is, it is raised where the store is waited for
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
        """Return seconds until the store is tried again; None while it does not fail."""
        return None if self._failure is None else max(0.0, self._next_attempt - time.monotonic())

    def _write(self, result: TrialResult) -> None:
        if self._is_behind or self._store is None:
            self._bring_in()
            return
        try:
            self._store.write(result)
        except Exception as error:  # whatever it is, the study goes on, and the last attempt repairs or tells
            self._fail(error)

    def _bring_in(self) -> None:
        """Write all that the store lacks; opens it anew after a failure."""
        try:
            store = self._open_store() if self._store is None else self._store
            store.sync(self._results.values())
        except Exception as error:  # see above
            self._fail(error)
            return
        was_away, self._failure = self._failure is not None, None
        self._store, self._is_behind = store, False
        if was_away:
            self._tell("MLflow answers again, and has all results so far.", False)

    def _fail(self, error: Exception) -> None:
        was_away, self._failure = self._failure is not None, error
        self._store, self._is_behind = None, True
        self._next_attempt = time.monotonic() + RETRY_SECONDS
        if not was_away:
            self._tell_failure(error)

    def _tell_failure(self, error: Exception) -> None:
        self._tell(
            f"{_sentence(error)} The study goes on: its journal keeps the results, and MLflow gets them when it "
            "answers again.",
            True,
        )


def _sentence(error: Exception) -> str:
    """Return a failure as a sentence; of unexpected errors only the kind, as they may hold credentials."""
    text = str(error) if isinstance(error, ZerotuneError) else f"MLflow cannot be written ({type(error).__name__})"
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
