"""An amended study trains what was added and nothing twice, and ends as the study that had it all from the start."""

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns import Executed, by_chance
from tests.tuner.run.amended_studies import LEGW, RANDOM, SPACE, TPE, at_once, content_of, go_on, study
from tests.tuner.run.reused_studies import SESSION
from zerotune.tuner.analysis.amendments import count_looks, read_amendments
from zerotune.tuner.errors import StudyChanged
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.run.session import open_session
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Trial


@dataclass
class Growing:
    """A study that grows by random amendments, from one arm that searches, one batch size and one seed."""

    chance: random.Random
    method: str
    trials: int = 3
    sizes: int = 1
    seeds: int = 1
    others: int = 0

    def grow(self) -> None:
        for what, step in (("trials", 5), ("sizes", 1), ("seeds", 2), ("others", 1)):
            if self.chance.random() < 0.5:
                setattr(self, what, getattr(self, what) + self.chance.randint(1, step))

    def study(self) -> Study:
        sizes = [128, 64, 512, 256, 1024, 2048, 96][: self.sizes]
        others = [LEGW, "  - {name: linear, method: linear}", f"  - {{name: other, {RANDOM}}}"][: self.others]
        search = f"method: {self.method}, trials: {self.trials}, {SPACE}"
        return study(search, sizes=sizes, seeds=range(1, 1 + self.seeds), others=others)


@pytest.mark.parametrize("number", range(6))
def test_any_sequence_of_amendments_ends_as_the_study_run_at_once(number: int, tmp_path: Path) -> None:
    growing = Growing(random.Random(number), method="sobol" if number % 2 else "random")
    for _ in range(4):
        go_on(tmp_path, growing.study(), stop_after=growing.chance.choice([None, 3]))
        growing.grow()
    last, expected = go_on(tmp_path, growing.study()), at_once(growing.study())
    assert expected.ids() == last.ids()
    results = content_of(tmp_path).results
    assert {id: expected.results[id].validation_score for id in last.ids()} == {
        id: results[id].validation_score for id in last.ids()
    }


def test_a_grid_with_more_points_trains_those_that_it_lacks(tmp_path: Path) -> None:
    grid = "method: grid, space: {{warmup_epochs: {{choices: {}}}, lr: {{choices: {}}}}}"
    small, large = study(grid.format("[1, 0]", "[0.1, 0.2]")), study(grid.format("[2, 1, 0]", "[0.4, 0.1, 0.2]"))
    first = go_on(tmp_path, small)
    second = go_on(tmp_path, large)
    wider = study(grid.format("[2, 1, 0]", "[0.4, 0.1, 0.2, 0.8]"))
    third = go_on(tmp_path, wider)
    assert [len(done.of("tuned", "search")) for done in (first, second, third)] == [4, 9, 12]
    assert [trial.index for trial in third.of("tuned", "search")] == list(range(12))

    def trained(done: Executed) -> list[str]:
        return sorted(trial.content_id for trial in done.of("tuned", "search"))

    assert trained(third) == trained(at_once(wider))


def test_a_search_that_learns_goes_on_as_it_began(tmp_path: Path) -> None:
    def search(trials: int) -> Study:
        return study(f"method: optuna, trials: {trials}, {SPACE}")

    first = go_on(tmp_path, search(6))
    second = go_on(tmp_path, search(9))
    assert [t.id for t in second.of("tuned", "search")][:6] == [t.id for t in first.of("tuned", "search")]
    assert second.ids() == at_once(search(9)).ids()  # both begin with 4 proposals that are not learned
    third = go_on(tmp_path, search(18))
    assert [t.id for t in third.of("tuned", "search")][:9] == [t.id for t in second.of("tuned", "search")]
    assert len(third.of("tuned", "search")) == 18
    assert not third.ids() <= at_once(search(18)).ids()  # at once it would have begun with 6


COMPREHENSIVE = "method: comprehensive, trials: 16"


def test_a_rule_that_is_added_leaves_a_comprehensive_search_as_it_was(tmp_path: Path) -> None:
    first = go_on(tmp_path, study(COMPREHENSIVE))
    second = go_on(tmp_path, study(COMPREHENSIVE, sizes=[128, 256], others=[LEGW]))
    of_128, of_256 = (second.of("tuned", "search", size) for size in (128, 256))
    assert [t.id for t in of_128] == [t.id for t in first.of("tuned", "search")]
    assert [t.params.get("rule") for t in of_256[:3]] == ["sqrt", "legw", None]


def test_a_seed_that_a_race_trained_with_cannot_confirm(tmp_path: Path) -> None:
    first = go_on(tmp_path, study(COMPREHENSIVE))
    raced = {trial.config.seed for trial in first.of("tuned", "search")}
    assert raced == {0, 3}
    with pytest.raises(StudyChanged) as refusal:
        go_on(tmp_path, study(COMPREHENSIVE, seeds=[1, 2, 3]))
    assert (
        "definition:\n  seeds: a search has trained with 3 (by tuned), but a confirmation must be a fresh run\nTo a "
        in (str(refusal.value))
    )
    assert "may be added)" not in str(refusal.value)
    go_on(tmp_path, study(COMPREHENSIVE, seeds=[1, 2, 4]))


def test_a_search_is_repeated_more_often(tmp_path: Path) -> None:
    twice, three_times = (study(TPE.replace("trials: 6", f"trials: 6, repeats: {number}")) for number in (2, 3))
    go_on(tmp_path, study(TPE))
    go_on(tmp_path, twice)
    assert go_on(tmp_path, three_times).ids() == at_once(three_times).ids()


def test_an_addition_that_would_lose_a_trained_trial_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(tmp_path, study(TPE))
    before = (tmp_path / "journal.jsonl").read_bytes()
    monkeypatch.setattr("zerotune.tuner.run.amendment.beginnings", lambda definitions: {})
    with pytest.raises(
        StudyChanged, match="tuned at B=128: the amended study would not ask for 2 trials that it has trained"
    ):
        go_on(tmp_path, study(TPE.replace("trials: 6", "trials: 30")))
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_an_amendment_must_be_asked_for_and_the_message_says_how(tmp_path: Path) -> None:
    go_on(tmp_path, study())
    with pytest.raises(StudyChanged) as refusal:
        go_on(tmp_path, study(seeds=[1, 2, 5], others=[LEGW]), amend=False)
    assert str(refusal.value) == (
        "study 'grown' was started with another definition:\n"
        "  seeds 2 -> 3 (5) (may be added)\n"
        "  arm legw (may be added)\n"
        f"Change it back to resume it, give it another name, or move {tmp_path} away to start over. To amend it, so "
        "that it keeps its 12 results and trains what was added, which every answer will say:\n"
        "  zerotune run x --amend"
    )


def test_what_cannot_be_amended_is_refused_beside_what_can(tmp_path: Path) -> None:
    go_on(tmp_path, study())
    with pytest.raises(StudyChanged) as refusal:
        go_on(tmp_path, study(RANDOM.replace("high: 1", "high: 2"), seeds=[1, 2, 5]))
    assert "\n  arms.tuned.space.lr.high: was 1.0, now 2.0 (the trials of a" in str(refusal.value)
    assert "\n  seeds 2 -> 3 (5) (may be added)\nTo a study that has begun may be added: seeds (" in str(refusal.value)
    assert str(refusal.value).endswith(
        f"nothing else may change. Change the rest back to go on, give it another name, or move {tmp_path} away to "
        "start over."
    )


def test_before_a_test_score_is_known_additions_make_nothing_exploratory(tmp_path: Path) -> None:
    go_on(tmp_path, study(), stop_after=5)
    go_on(tmp_path, study(seeds=[1, 2, 3]))
    assert count_looks(read_amendments(content_of(tmp_path).sessions)) == {}


def test_failed_trials_stay_failed_until_they_are_retried(tmp_path: Path) -> None:
    def failing(trial: Trial) -> float | None:
        return None if trial.role == "search" and trial.index == 1 else by_chance(trial)

    first = go_on(tmp_path, study(TPE), score=failing)
    (failed,) = [each for each in first.results.values() if each.status == "failed"]
    go_on(tmp_path, study(TPE.replace("trials: 6", "trials: 10")))
    with closing(Journal(tmp_path)) as journal:
        journal.retry_trial(failed.trial.id)
    longer = study(TPE.replace("trials: 6", "trials: 10"), seeds=[1, 2, 3])
    with closing(Journal(tmp_path)) as journal:  # a retry that was stopped
        open_session(longer, journal, SESSION, amend=True, amend_command="")
        assert journal.content.retried == {failed.trial.id}
        assert len(journal.content.beginnings) == 2


def test_a_budget_may_be_raised_with_an_amendment(tmp_path: Path) -> None:
    def budgeted(text: str, trials: int, seeds: Sequence[int] = (1, 2)) -> Study:
        definition = study(text, seeds=seeds)
        return definition.model_copy(update={"budget": definition.budget.model_copy(update={"trials": trials})})

    longer = RANDOM.replace("trials: 6", "trials: 9")
    assert len(go_on(tmp_path, budgeted(RANDOM, 4)).of("tuned", "search")) == 4
    assert len(go_on(tmp_path, budgeted(longer, 4)).of("tuned", "search")) == 4
    last = go_on(tmp_path, budgeted(longer, 9, seeds=(1, 2, 3)))
    assert last.ids() == at_once(study(longer, seeds=[1, 2, 3])).ids()
