"""Two studies in one store: what they share is trained once, with the same results as training anew."""

from pathlib import Path

from tests.user_applications import NUM_TRIALS, STUDY, Here, write
from zerotune.tuner.run.journal import read_journal
from zerotune.tuner.store import default_tracking_uri, read_results

SECOND = STUDY.replace("name: plane", "name: second").replace("[0.05, 0.1]", "[0.1, 0.2]")
COMMAND = ("run", "second.yaml", "--driver", "serial", "--app", "plane.py:sides")


def found(here: Here, store: str) -> dict[str, tuple[object, ...]]:
    """Return the results and costs of every trial of the second study, except what depends on the machine's speed."""
    return {
        trial_id: (
            result.status,
            result.validation_score,
            result.test_score,
            [(epoch.train_loss, epoch.validation_loss) for epoch in result.epochs],
            (result.cost.trials, result.cost.samples, result.cost.iterations, result.cost.flops, result.cost.words),
        )
        for trial_id, result in read_journal(here.folder / store / "second" / "journal.jsonl").results.items()
    }


def origins(store: Path) -> list[str | None]:
    return [result.reused_from for result in read_journal(store / "second" / "journal.jsonl").results.values()]


def test_two_studies_of_a_store_train_what_they_share_once_and_find_what_training_anew_finds(here: Here) -> None:
    here.run()
    (here.folder / "second.yaml").write_text(SECOND, encoding="utf-8")
    out = here.done(*COMMAND)
    taken = [origin for origin in origins(here.folder / "mlruns") if origin is not None]
    assert {origin.partition("/")[0] for origin in taken} <= {"plane", "second"}
    at_once = 2 + 1 + 2  # the baseline's runs, a search trial, and the rule's runs
    assert f"up to {NUM_TRIALS} trials, {at_once} or more reused from earlier trainings" in " ".join(out.split())
    assert len(taken) in (at_once, at_once + 2)  # and the runs of the chosen configuration, if it is the same
    assert f"Spent on the study: {NUM_TRIALS - len(taken)} training" in out
    for text in (out, here.done("compare", "second")):
        assert f"Results of {len(taken)} trainings were reused, worth " in " ".join(text.split())

    here.done(*COMMAND, "--retrain", "--store", "anew")
    assert found(here, "mlruns") == found(here, "anew")
    assert set(origins(here.folder / "anew")) == {None}

    stored = read_results(default_tracking_uri(here.folder / "mlruns"), "second", with_epochs=True).results
    written = read_journal(here.folder / "mlruns" / "second" / "journal.jsonl").results
    assert {result.trial.id: result for result in stored} == written


def test_an_application_whose_code_has_changed_trains_everything(here: Here) -> None:
    here.run()
    write(here.folder, "cross_entropy(outputs,", "cross_entropy(2 * outputs,")
    (here.folder / "second.yaml").write_text(SECOND, encoding="utf-8")
    here.done(*COMMAND)
    others = [origin for origin in origins(here.folder / "mlruns") if origin is not None and "plane/" in origin]
    assert others == []
