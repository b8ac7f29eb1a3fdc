"""A thread that writes results while trainings go on, so that MLflow's pace never holds up the driver."""

from queue import SimpleQueue
from threading import Thread

from tuner.store.writer import Store
from tuner.trial import TrialResult


class Writer:
    """Writes the results it is given, in order, on one thread of its own.

    A failing store never breaks a study: the first failure is kept in `error` and nothing more is written; the caller's
    `Store.sync` at the end brings in what is missing. Use the store itself only after `close`.

    Args:
        store: where the results go.
    """

    def __init__(self, store: Store) -> None:
        self.error: Exception | None = None
        self._store = store
        self._queue: SimpleQueue[TrialResult | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="mlflow-writer", daemon=True)
        self._thread.start()

    def submit(self, result: TrialResult) -> None:
        """Takes a result and returns at once."""
        self._queue.put(result)

    def close(self) -> None:
        """Waits until everything submitted is written, or the store has failed."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (result := self._queue.get()) is not None:
            if self.error is not None:
                continue
            try:
                self._store.write(result)
            except Exception as error:  # whatever it is, the study goes on and `sync` repairs or tells
                self.error = error
