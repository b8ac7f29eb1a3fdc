"""`zerotune regime`: a real search on a small user application, and the requests that it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.outputs import read_csv
from tests.user_applications import STUDY, Here
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import EpochMetrics
from zerotune.tuner.cost import total_cost
from zerotune.tuner.execution import trial_runner
from zerotune.tuner.run.journal import read_journal
from zerotune.tuner.store import default_tracking_uri, read_results

COMMAND = ("regime", "plane.yaml", "--driver", "serial", "--app", "plane.py:sides")


@pytest.fixture
def quick(here: Here, without_images: list[str]) -> Here:
    """The plane study without image files, which have their own tests."""
    return here


def journal(here: Here) -> Path:
    return here.folder / "mlruns" / "plane-regime" / "journal.jsonl"


def test_a_search_finds_the_boundaries_bills_every_training_and_is_not_run_again(quick: Here) -> None:
    out = quick.done(*COMMAND)
    results = list(read_journal(journal(quick)).results.values())
    trained = [result for result in results if result.reused_from is None]
    report = json.loads((journal(quick).parent / "report" / "regime.json").read_text(encoding="utf-8"))
    assert report["question"]["rungs"] == [40, 80, 160, 180]
    assert report["full"] == 180
    assert report["total"]["trials"] == len(trained)
    assert f"Spent: {len(trained)} trainings" in out
    for line in (report["headline"], *report["sentences"], *report["notes"]):
        assert " ".join(line.split()) in " ".join(out.split())
    by_size = {(r["batch_size"], r["arm"]): r for r in report["attempts"]}
    large = report["large"]
    if large["holds"] is not None:
        assert by_size[large["holds"], "linear"]["keeps_score"]
        assert by_size[large["holds"], "linear"]["loss_ratio"] <= 1.2
    if large["fails"] is not None:
        failing = by_size[large["fails"], "linear"]
        assert not failing["keeps_score"] or failing["loss_ratio"] > 1.2
    rows = read_csv(journal(quick).parent / "report" / "regime.csv")
    assert sum(int(row["trials"]) for row in rows) == len(results)
    assert sum(int(row["flops"]) for row in rows) == total_cost(result.cost for result in results).flops
    before = journal(quick).read_bytes()
    again = quick.done(*COMMAND)
    assert journal(quick).read_bytes() == before
    assert f", {len(results)} trainings done before" in again
    assert again[again.index("plane, sides") :] == out[out.index("plane, sides") :]


def test_a_search_is_a_study_of_its_own_in_the_store(quick: Here) -> None:
    quick.done(*COMMAND, "--to", "40")
    stored = read_results(default_tracking_uri(quick.folder / "mlruns"), "plane-regime", with_epochs=True)
    assert {r.trial.id: r for r in stored.results} == read_journal(journal(quick)).results
    assert {result.trial.study for result in stored.results} == {"plane-regime"}
    assert "linear" in quick.done("compare", "plane-regime")
    quick.done(*COMMAND, "--from", "80", "--to", "80")
    more = read_journal(journal(quick)).results
    assert more.keys() > {result.trial.id for result in stored.results}
    assert {result.trial.batch_size for result in more.values()} == {20, 40, 80}
    assert not (quick.folder / "mlruns" / "plane").exists()


def test_a_budget_ends_a_search_which_then_goes_on(quick: Here) -> None:
    code, _, err = quick.zerotune(*COMMAND, "--budget-trials", "1")
    assert (code, "--budget-trials 1: ended before the baseline had its score" in err) == (2, True)
    out = quick.done(*COMMAND, "--budget-trials", "5")
    assert "The budget of trainings ended the search" in out
    assert len(read_journal(journal(quick)).results) == 5
    assert "The budget of trainings" not in quick.done(*COMMAND)
    starts = read_journal(journal(quick)).started
    assert set(starts.values()) == {1}


def test_an_interrupted_search_says_how_to_go_on_and_repeats_only_what_was_lost(
    quick: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zerotune.tuner.run.recorder import RecordingAgenda

    report, reports = RecordingAgenda.report, []

    def interrupting(self: RecordingAgenda, *progress: Any) -> bool:
        reports.append(progress)
        if len(reports) == 4:
            raise KeyboardInterrupt
        return report(self, *progress)

    monkeypatch.setattr(RecordingAgenda, "report", interrupting)
    code, out, _ = quick.zerotune(*COMMAND, "--to", "80", "--no-check")
    assert code == 130
    assert "\n  zerotune regime plane.yaml --to 80 --app plane.py:sides --driver serial --no-check\n" in out
    quick.done(*COMMAND, "--to", "80", "--no-check")
    assert sorted(read_journal(journal(quick)).started.values())[-2:] == [1, 2]


class BreakingAtSecondSeed(Training):
    """A training that raises when linear scaling is confirmed on the second seed."""

    def run_epoch(self) -> EpochMetrics:
        if self.config.batch_size == 40 and self.config.seed == 2:
            raise RuntimeError("the power supply hums")
        return super().run_epoch()


def test_failed_trainings_are_run_again_and_nothing_else_is(quick: Here) -> None:
    search = (*COMMAND, "--to", "80", "--no-check")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_runner, "Training", BreakingAtSecondSeed)
        quick.done(*search)
    before = read_journal(journal(quick))
    lost = {trial_id for trial_id, result in before.results.items() if result.status == "failed"}
    assert lost
    untouched = journal(quick).read_bytes()
    assert f", {len(before.results)} trainings done before" in quick.done(*search)
    assert journal(quick).read_bytes() == untouched

    out = quick.done(*search, "--retry-failed")
    assert f"plane-regime: {len(lost)} failed trial{'s' if len(lost) > 1 else ''} to be run again\n" in out
    after = read_journal(journal(quick))
    assert {trial_id: after.results[trial_id].status for trial_id in lost} == dict.fromkeys(lost, "finished")
    assert {i: n + (i in lost) for i, n in before.started.items()} == {i: after.started[i] for i in before.started}
    for trial_id, result in before.results.items():
        assert trial_id in lost or after.results[trial_id] == result
        assert after.results[trial_id].cost.device_seconds >= result.cost.device_seconds
    stored = read_results(default_tracking_uri(quick.folder / "mlruns"), "plane-regime", with_epochs=True).results
    assert {result.trial.id: result for result in stored} == after.results
    assert "plane-regime: no trial has failed, so none is run again" in quick.done(*search, "--retry-failed")


def test_nothing_is_run_again_where_nothing_was_searched(quick: Here) -> None:
    assert quick.refused(*COMMAND, "--retry-failed") == (
        "error: --retry-failed: no regime search of study 'plane' in the store mlruns: nothing has failed; leave it "
        "out\n"
    )
    assert not (quick.folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "200"), "--to 200: is above the 180 training samples; choose one of 40, 80, 160, 180"),
        (("--from", "50"), "--from 50: is not B0 times a power of two above 1; choose one of 40, 80, 160, 180"),
        (("--from", "20"), "--from 20: is not B0 times a power of two above 1"),
        (("--from", "160", "--to", "80"), "--from 160: is above --to 80"),
        (("--address", "auto"), "--address has no effect with --driver serial"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(quick: Here, options: tuple[str, ...], said: str) -> None:
    code, _, err = quick.zerotune(*COMMAND, *options)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{batch_size: 20,", "{batch_size: 180,", "baseline's batch size 180 is already the full batch"),
        ("{batch_size: 20,", "{batch_size: 500,", "baseline.batch_size: 500 is above the 180 training samples"),
        ("batch_sizes: [60]", "batch_sizes: [600]", "batch_sizes: 600 is above the 180 training samples"),
        (
            "{batch_size: 20, optimizer: momentum, lr: 0.05}\n",
            "{batch_size: 20, optimizer: momentum, lr: 0.05, warmup_epochs: 0.5}\n",
            "cannot be followed over 40 to 180:\n  arm 'legw': rule 'legw' at batch size 80: its warm-up of 2 epochs",
        ),
    ],
)
def test_a_study_that_cannot_be_searched_is_refused(quick: Here, old: str, new: str, said: str) -> None:
    assert old in STUDY
    legw = "{name: legw, method: legw}" if "legw" in said else "{name: sqrt, method: sqrt}"
    text = STUDY.replace("{name: sqrt, method: sqrt}", legw).replace(old, new)
    (quick.folder / "plane.yaml").write_text(text, encoding="utf-8")
    code, _, err = quick.zerotune(*COMMAND)
    assert code == 2
    assert said in err
    assert not journal(quick).exists()
