"""MLflow's first screen: the study's run and the arms' runs carry what the question asks."""

import json
from dataclasses import replace

from mlflow import MlflowClient

from tests.judged_study import AS_FIVE, FAR, FARTHER, FIVE, LIKELY, ONE_LOST, OPEN, judged
from zerotune.tuner.run.answer import write_answer
from zerotune.tuner.run.summary import study_metrics, study_row, study_tags, summary_metrics, summary_tags
from zerotune.tuner.store import Store

ANSWER = judged(
    {
        1024: {"tuned": FIVE, "legw": AS_FIVE, "sqrt": FAR},
        2048: {"tuned": FIVE, "legw": ONE_LOST, "sqrt": LIKELY},
    }
)


def shown(arm: str, batch_size: int) -> tuple[dict[str, float], str]:
    """Return the columns of an arm's run: its metrics without costs, and its verdict."""
    row = ANSWER.comparison.row(arm, batch_size)
    metrics = {name: value for name, value in summary_metrics(ANSWER.comparison, row).items() if "/" not in name}
    return metrics, summary_tags(ANSWER.comparison, row)["verdict"]


def test_an_arm_shows_its_median_its_lost_seeds_and_what_it_spares() -> None:
    seeds = {"seeds": 5.0, "search_trials": 0.0, "trainings_needed": 1.0}
    spares, spares_not = {"skip_tuning": 1.0, "trainings_spared": 5.0}, {"skip_tuning": 0.0, "trainings_spared": 0.0}
    assert shown("legw", 1024) == ({**seeds, "lost_seeds": 0.0, "test_score": 0.989, **spares}, "yes")
    assert shown("sqrt", 1024) == ({**seeds, "lost_seeds": 0.0, "test_score": 0.939, **spares_not}, "worse")
    lost = {"lost_seeds": 1.0, "test_score": 0.98905}
    metrics, verdict = shown("legw", 2048)
    assert (metrics, verdict) == ({**seeds, **lost, **spares_not}, "unreliable")
    metrics, verdict = shown("sqrt", 2048)
    assert (metrics["skip_tuning"], metrics["trainings_spared"], verdict) == (0.5, 5.0, "yes, but")


def test_the_reference_shows_what_its_search_took_and_has_no_verdict() -> None:
    metrics, verdict = shown("tuned", 1024)
    assert (metrics["trainings_needed"], metrics["search_trials"], verdict) == (6.0, 6.0, "reference")
    assert "skip_tuning" not in metrics


def test_what_a_former_verdict_allowed_is_overwritten() -> None:
    before = judged({1024: {"tuned": FIVE, "sqrt": AS_FIVE}}).comparison
    after = judged({1024: {"tuned": FIVE, "sqrt": FAR}}).comparison
    former, latter = (summary_metrics(found, found.row("sqrt", 1024)) for found in (before, after))
    assert former["saved/flops"] > 0
    assert latter["saved/flops"] == 0.0
    assert former.keys() <= latter.keys()
    assert study_metrics(before).keys() <= study_metrics(after).keys()
    assert study_metrics(before)["skip_tuning"] == 1.0
    assert study_metrics(after)["skip_tuning"] == 0.0


def test_the_study_shows_its_largest_batch_size_that_spares_tuning() -> None:
    row = study_row(ANSWER.comparison)
    assert (row.arm, row.batch_size) == ("sqrt", 2048)
    none = judged({1024: {"tuned": FIVE, "sqrt": FAR}, 2048: {"tuned": FIVE, "sqrt": OPEN}})
    row = study_row(none.comparison)
    assert (row.arm, row.batch_size) == ("tuned", 2048)
    assert study_tags(none)["numbers_of"] == "tuned at B=2,048"
    assert study_tags(replace(none, missing=("Unfinished: 3 results so far.",)))["verdict"].startswith(
        "Not final. Depends. At B"
    )


def test_the_studys_verdict_begins_with_a_word_that_a_narrow_column_shows() -> None:
    def verdict(scores: dict[int, dict[str, list[float]]]) -> str:
        return study_tags(judged(scores))["verdict"]

    assert verdict({1024: {"tuned": FIVE, "legw": AS_FIVE}}) == "Yes. At B=1,024 you need not tune again (legw)."
    assert verdict({1024: {"tuned": FIVE, "legw": ONE_LOST}}).startswith("No. At B=1,024 you must: legw is worse")
    assert verdict({1024: {"tuned": FAR, "legw": FARTHER}}).startswith("Batch too large. At B=1,024 the batch is too")


def test_the_store_holds_it_with_the_verdict_and_a_link_to_the_report_as_description(uri: str) -> None:
    answer = judged({1024: {"tuned": FIVE, "legw": AS_FIVE}, 2048: {"tuned": FIVE, "legw": FAR}})
    store = Store(uri, "synthetic", "0123456789ab", answer.origin.definition, {})
    store.sync(answer.results)
    write_answer(store, answer, [])
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("synthetic")
    assert experiment is not None
    summarised = client.search_runs([experiment.experiment_id], "metrics.seeds >= 0")  # what the view asks for
    runs = {str(run.info.run_name): run for run in summarised}
    arms = {f"{arm} B={size}" for arm in ("tuned", "legw") for size in (1024, 2048)}
    assert set(runs) == {"study: synthetic", "baseline B=256", *arms}
    baseline = runs["baseline B=256"].data
    assert (baseline.metrics["test_score"], baseline.metrics["trainings_needed"]) == (0.989, 4.0)
    study = runs["study: synthetic"]
    whole, link, first, second = study.data.tags["mlflow.note.content"].split("\n\n")
    assert whole.startswith("At B=1,024 you need not tune again (legw); at B=2,048 you must")
    assert first.startswith("Yes: skip tuning at B=1,024 (legw).")
    assert second.startswith("No, tune again at B=2,048: legw is worse")
    place = f"#/experiments/{experiment.experiment_id}/runs/{study.info.run_id}/artifacts/report/report.html"
    assert link == f"[Report with all figures]({place}?workflowType=machine_learning)"
    view = json.loads(experiment.tags["mlflow.sharedViewState.zerotune-answer"])
    names = [column.partition("`")[2].rstrip("`") for column in view["selectedColumns"]]
    study_columns = study.data.metrics.keys() | study.data.tags.keys()
    assert set(names) <= study_columns
