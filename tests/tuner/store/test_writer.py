"""The writer's thread writes every result once and in order, even if the store fails."""

import threading

import pytest
from mlflow import MlflowClient

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.small_stores import fail_for_trials, find_runs, open_store
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.store import Store, Writer, background, read_results


def test_the_writer_writes_in_the_background(uri: str) -> None:
    messages: list[str] = []
    writer = Writer(lambda: open_store(uri), (), lambda sentence, _: messages.append(sentence))
    writer.start()
    for seed in range(3):
        writer.submit(make_result(seed=seed))
    writer.close()
    assert messages == []
    assert read_results(uri, "small", with_epochs=True).results == tuple(make_result(seed=seed) for seed in range(3))


def test_the_writer_survives_a_failing_store_and_puts_it_right_at_the_end(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[tuple[str, bool]] = []
    results = [make_result(seed=seed) for seed in range(4)]
    writer = Writer(lambda: open_store(uri), results[:1], lambda *words: messages.append(words))
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "log_batch", fail_for_trials(MlflowClient.log_batch))
        writer.start()
        for result in results[1:]:
            writer.submit(result)
        writer.close()
        assert not writer.finish(lambda store: store.finish())
    (first, _), (last, _) = messages
    assert "did not write trial 'date B=8,192 confirmation 1': disk is full. The study continues" in first
    assert "disk is full. The journal has the results that MLflow lacks." in last
    assert [is_behind for _, is_behind in messages] == [True, True]

    writer = Writer(lambda: open_store(uri), results, lambda *words: messages.append(words))
    writer.start()
    writer.close()
    assert writer.finish(lambda store: store.finish())
    assert len(messages) == 2
    assert read_results(uri, "small", with_epochs=True).results == tuple(results)
    assert {run.info.status for run in find_runs(uri)} == {"FINISHED"}


def test_a_store_that_comes_back_gets_everything_in_order(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.05)
    messages: list[tuple[str, bool]] = []
    is_there, has_all = threading.Event(), threading.Event()

    def opened() -> Store:
        if is_there.is_set():
            return open_store(uri)
        raise Unreachable("the MLflow store at X did not answer: it is away.")

    def tell(sentence: str, is_behind: bool) -> None:
        messages.append((sentence, is_behind))
        if not is_behind:
            has_all.set()

    results = [make_result(seed=seed) for seed in range(6)]
    writer = Writer(opened, results[:2], tell)
    writer.start()
    for result in results[2:5]:
        writer.submit(result)
    is_there.set()
    assert has_all.wait(60)
    writer.submit(results[5])
    writer.close()
    away = (
        "The MLflow store at X did not answer: it is away. The study continues: its journal keeps the results, and "
        "MLflow gets them when it answers again."
    )
    assert messages == [(away, True), ("MLflow answers again, and has all results so far.", False)]
    assert read_results(uri, "small", with_epochs=True).results == tuple(results)


def test_a_mistake_in_writing_is_reported_without_its_text_and_raised_at_the_end(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("secret")

    messages: list[str] = []
    writer = Writer(lambda: open_store(uri), (), lambda sentence, _: messages.append(sentence))
    monkeypatch.setattr(Store, "write", broken)
    writer.start()
    writer.submit(make_result())
    writer.close()
    assert [sentence[:37] for sentence in messages] == ["MLflow cannot be written (KeyError). "]
    with pytest.raises(KeyError, match="secret"):
        writer.finish(lambda store: store.finish())
