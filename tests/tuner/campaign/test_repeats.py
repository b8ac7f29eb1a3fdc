"""Repeats of a search: drawn anew, confirmed each, billed as one search, and with an interval that holds their luck."""

from collections import Counter
from dataclasses import replace
from statistics import fmean
from types import SimpleNamespace

import pytest

from tests.campaigns import by_chance, completed, execute, result
from tests.tuner.analysis.synthetic_results import read_back
from tests.tuner.study.example_study import edited
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.campaign.plan import plan_study
from zerotune.tuner.campaign.search_seeds import repetition_seed, search_seed_of
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Trial, TrialResult, content_of

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128, 512]
seeds: [11, 12]
reference: tuned
baseline: {batch_size: 32, lr: 0.02, optimizer: momentum}
arms:
  - {name: tuned, method: METHOD, trials: 12, repeats: 3}
  - {name: legw, method: legw}
"""
METHODS = {"random": ", space: default", "optuna": ", space: default", "comprehensive": ""}


def study(method: str = "random", *edits: tuple[str, str]) -> Study:
    filled_in = ("METHOD, trials: 12, repeats: 3", f"{method}, trials: 12, repeats: 3{METHODS[method]}")
    return edited(TEXT, filled_in, *edits)


def compared(repeated: Study, results: dict[str, TrialResult]) -> Comparison:
    return compare(facts_of(repeated, metric="accuracy", higher_is_better=True), list(results.values()))


def of(results: dict[str, TrialResult], role: str, batch_size: int = 128) -> list[Trial]:
    trials = [one.trial for one in results.values() if (one.trial.arm, one.trial.role) == ("tuned", role)]
    return sorted((trial for trial in trials if trial.batch_size == batch_size), key=lambda t: (t.repeat, t.index))


@pytest.mark.parametrize("method", METHODS)
def test_every_search_draws_anew_trains_with_its_own_seeds_and_confirms_its_choice(method: str) -> None:
    results = completed(study(method), by_chance)
    first, repeats, confirmed = (of(results, role) for role in ("search", "repeat", "confirmation"))
    assert [trial.repeat for trial in first] == [0] * 12
    assert [(trial.repeat, trial.index) for trial in repeats] == [(r, i) for r in (1, 2) for i in range(12)]
    assert [(trial.repeat, trial.index, trial.config.seed) for trial in confirmed] == [
        (repeat, index, seed) for repeat in range(3) for index, seed in enumerate((11, 12))
    ]
    seeds = [{trial.config.seed for trial in (*first, *repeats) if trial.repeat == number} for number in range(3)]
    assert not seeds[0] & seeds[1]
    assert not seeds[1] & seeds[2]
    assert not set.union(*seeds) & {11, 12}
    drawn = [{t.config.schedule.peak_lr for t in (*first, *repeats) if t.repeat == number} for number in range(3)]
    assert len(drawn[0] & drawn[1]) <= 1  # a rule's proposal of a comprehensive search is the same in all


def test_the_first_search_and_its_ids_stay_what_they_are_without_repeats() -> None:
    once = completed(study("random", (", repeats: 3", "")), by_chance)
    thrice = completed(study(), by_chance)
    assert once.keys() == {key for key, one in thrice.items() if not one.trial.repeat}


def test_a_first_search_is_recorded_as_earlier_versions_did_and_a_repeat_with_its_number() -> None:
    results = completed(study(), by_chance)
    first, repeat = (next(one for one in results.values() if one.trial.repeat == number) for number in (0, 2))
    assert "repeat" not in content_of(first)["trial"]
    assert content_of(repeat)["trial"]["repeat"] == 2
    for one in (first, repeat):
        assert read_back(one).trial.id == one.trial.id


def test_a_resumed_study_meets_the_same_repeats() -> None:
    complete = completed(study("optuna"), by_chance)
    half = dict(list(complete.items())[: len(complete) // 2])
    assert completed(study("optuna"), by_chance, known=half).keys() == complete.keys()


def test_a_budget_ends_the_last_searches_and_what_was_found_is_confirmed() -> None:
    ended = study("random", ("arms:", "budget: {trials: 40}\narms:"))
    results = completed(ended, by_chance)
    assert Counter(
        (t.batch_size, t.repeat)
        for size in (128, 512)
        for t in (*of(results, "search", size), *of(results, "repeat", size))
    ) == {
        **{(128, repeat): 12 for repeat in range(3)},
        (512, 0): 4,
    }
    assert Counter(t.repeat for t in of(results, "confirmation", 512)) == {0: 2}


def test_a_failed_repeat_does_not_keep_the_others_from_being_judged() -> None:
    def score(trial: Trial) -> float | None:
        return None if trial.role == "repeat" and trial.repeat == 1 else by_chance(trial)

    results = completed(study(), score)
    assert [trial.repeat for trial in of(results, "confirmation")] == [0, 0, 2, 2]
    row = compared(study(), results).row("tuned", 128)
    assert (row.num_searches, len(row.searches)) == (2, 3)


def test_the_score_is_the_mean_over_searches_and_seeds() -> None:
    results = completed(study(), by_chance)
    row = compared(study(), results).row("tuned", 128)
    scores = [one.test_score or 0.0 for one in results.values() if one.trial in of(results, "confirmation")]
    assert (row.num_seeds, row.num_searches, row.seeds.num_seeds) == (6, 3, 2)
    assert row.score is not None
    assert row.score.mean == pytest.approx(fmean(scores))
    assert [len(one.seeds) for one in row.searches] == [2, 2, 2]
    assert [dict(one.params) for one in row.searches] == [dict(t.params) for t in of(results, "confirmation")[::2]]


def test_a_model_is_billed_one_search_the_mean_of_its_repeats_and_the_ledger_bills_all() -> None:
    def score(trial: Trial) -> float:
        return by_chance(trial)

    def make(trial: Trial, value: float | None) -> TrialResult:
        found = result(trial, value, test_score=value if trial.role == "confirmation" else None)
        seconds = found.cost.device_seconds * (1 + trial.repeat)
        return TrialResult(**{**vars(found), "cost": type(found.cost)(trials=1, device_seconds=seconds)})

    results = execute(Campaign(study()), score, make=make).results
    found = compared(study(), results)
    bill = found.row("tuned", 128).bill
    assert bill is not None
    assert (bill["trials"], bill["device_seconds"]) == (12, 12 * 10 * (1 + 2 + 3) / 3)
    assert found.ledger.total.trials == 2 * (3 * 12 + 3 * 2 + 2) + 2


def test_a_plan_has_one_row_for_all_searches_of_an_arm() -> None:
    planned = {(cell.arm, cell.batch_size): cell for cell in plan_study(study())}
    tuned = planned["tuned", 512]
    assert (tuned.repeats, tuned.search_trials, tuned.confirmation_trials) == (3, 36, 6)
    assert tuned.samples == 42 * 12 * 3000
    assert planned["legw", 512].repeats == 1
    assert len(planned) == 5


def test_repeats_on_a_table_take_its_other_seeds_in_turn_and_none_that_confirms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = SimpleNamespace(table=SimpleNamespace(seeds=(11, 12, 0, 5)))
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(APPLICATIONS["lenet_mnist"], look_up=table))
    assert [search_seed_of(study(), repeat, 99) for repeat in range(4)] == [0, 5, 0, 5]
    assert search_seed_of(study("random", ("seeds:", "search_seed: 7\nseeds:")), 1, 99) == 99


def test_what_is_trained_again_on_a_table_takes_its_other_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed that the table lacks would be a failed trial; with none left, it is."""
    definition = study()
    plain = [repetition_seed(definition, 0, repeat) for repeat in range(3)]
    table = SimpleNamespace(table=SimpleNamespace(seeds=(*definition.seeds, 5, 6, 0)))
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", replace(APPLICATIONS["lenet_mnist"], look_up=table))
    assert [repetition_seed(definition, 0, repeat) for repeat in range(3)] == [0, 5, 6]
    assert repetition_seed(definition, 0, 3) not in (0, 5, 6, *definition.seeds)
    assert plain[0] == 0
    assert not {*plain} & {*definition.seeds}
