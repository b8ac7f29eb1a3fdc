"""Trial ids are independent of the order of completion, and differ for different content."""

import pytest

from tests.campaigns import by_chance, execute, result
from tests.tuner.analysis.synthetic_results import read_back
from tests.tuner.campaign.campaign_study import NUM_CONFIRMATIONS, NUM_SEARCH_TRIALS, study
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.study import Study


@pytest.mark.parametrize("num_workers", [1, 2, 3, 4])
def test_any_order_of_completion_asks_for_the_same_trials(num_workers: int) -> None:
    expected = execute(Campaign(study()), by_chance).ids()
    for seed in range(5):
        assert expected == execute(Campaign(study()), by_chance, num_workers=num_workers, seed=seed).ids()


@pytest.mark.parametrize("num_workers", [1, 4])
def test_a_study_stopped_anywhere_and_resumed_asks_for_the_same_trials_and_runs_none_twice(num_workers: int) -> None:
    expected = execute(Campaign(study()), by_chance).ids()
    for stop_after in range(1, NUM_SEARCH_TRIALS + NUM_CONFIRMATIONS, 3):
        first = execute(Campaign(study()), by_chance, num_workers=4, seed=stop_after, stop_after=stop_after)
        again = execute(
            Campaign(study(), first.results), by_chance, num_workers=num_workers, seed=7, known=first.results
        )
        assert expected == again.ids()
        assert expected - set(first.results) == set(again.results)


def test_no_two_trials_of_a_study_have_one_id() -> None:
    asked = execute(Campaign(study())).asked
    assert len(asked) == len({trial.id for trial in asked})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 12", "epochs: 13"),
        ("name: example", "name: other"),
        ("search_seed: 3\n", "search_seed: 4\n"),
        ("momentum: 0.8", "momentum: 0.7"),
    ],
)
def test_ids_of_search_trials_change_with_the_content(old: str, new: str) -> None:
    def searches(study: Study) -> set[str]:
        return {trial.id for trial in execute(Campaign(study)).of("tuned", "search")}

    assert set() == searches(study()) & searches(study((old, new)))


def test_ids_do_not_change_with_what_fixes_no_result() -> None:
    others = (
        "question: Why?\nresources: {cpus_per_trial: 2, max_concurrent: 3}\nbudget: {trials: 500}\n"
        "tracking_uri: sqlite:///x.db\nmargin: 0.99\narms:\n"
    )
    assert execute(Campaign(study())).ids() == execute(Campaign(study(("arms:\n", others)))).ids()


def test_two_searches_do_not_draw_the_same_points() -> None:
    done = execute(Campaign(study()))
    at_128, at_512 = (done.of("tuned", "search", size) for size in (128, 512))
    assert set() == {t.params["lr"] for t in at_128} & {t.params["lr"] for t in at_512}


def test_every_trial_is_met_again_after_it_was_written_down() -> None:
    """A list of whole numbers is where writing and reading could change the id."""
    steps = study(("  warmup_epochs: 0.25\n", "  warmup_epochs: 0\n  decay: {name: multistep, milestones: [4, 8]}\n"))
    for trial in execute(Campaign(steps)).asked:
        assert trial == read_back(result(trial, 0.5)).trial
        assert trial.id == read_back(result(trial, 0.5)).trial.id


def test_only_proposals_take_the_searchers_time() -> None:
    campaign = Campaign(study())
    for trial in execute(campaign).asked:
        assert (trial.role != "confirmation") == (campaign.searcher_seconds(trial) > 0)
