"""Replicates of a study whose truth is known."""

import random

import pytest
from scipy import stats

from tests.tuner.commands.replicate.known_table import LRS, STUDY, known_study, known_table
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.verdict import LEVEL
from zerotune.tuner.commands.replicate.replicates import Replicate, Replicates, Sentence
from zerotune.tuner.commands.replicate.summary import summarise
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study, study_from_text

TRAINED = STUDY.replace("known_table", "lenet_mnist").replace("name: known", "name: trained")


def said(replicate: Replicate, arm: str) -> Sentence:
    return next(one for one in replicate.sentences if one.arm == arm)


def mean_of(lr: float, batch_size: int) -> float:
    table = known_table()
    row = table.cells[LRS.index(lr), table.axes[1].values.index(batch_size)]
    return float(table.scores[row].mean())


def test_an_arm_that_is_worse_is_called_so_and_hardly_ever_as_good(study: Study) -> None:
    """The constant rule is 0.03 worse, of which 0.0095 is tolerated."""
    times = 40
    found = [said(replicate, "constant") for replicate in Replicates(study).run_all(times)]
    false = sum(one.kind in ("yes", "yes, but") for one in found)
    assert false <= stats.binom.ppf(0.999, times, LEVEL)
    assert {one.is_true for one in found if one.kind == "worse"} == {True}
    assert sum(one.kind == "worse" for one in found) > times / 2


def test_the_true_gain_is_that_of_the_means_over_all_seeds_of_the_table(study: Study) -> None:
    one = said(Replicates(study).run(0), "constant")
    assert one.true_gain == pytest.approx(mean_of(LRS[4], 64) - mean_of(LRS[5], 64), abs=1e-12)


def test_a_grid_that_holds_the_best_and_finds_it_has_no_regret(study: Study) -> None:
    assert {said(replicate, "tuned").regret for replicate in Replicates(study).run_all(5)} == {0.0}


def test_a_search_that_cannot_reach_the_best_of_its_space_has_the_regret_of_its_choice(study: Study) -> None:
    space = "method: random, trials: 1, space: {lr: {low: 0.008, high: 0.128, scale: log}}"
    searched = known_study(STUDY.replace("method: grid, space: {lr: {choices: [0.008, 0.016, 0.032, 0.064]}}", space))
    regrets = [said(replicate, "tuned").regret or 0.0 for replicate in Replicates(searched).run_all(5)]
    assert min(regrets) > 0.0
    assert max(regrets) < mean_of(LRS[5], 64) - mean_of(LRS[3], 64)


def test_replicates_do_not_depend_on_their_order_or_on_each_other(study: Study) -> None:
    in_order = [*Replicates(study, seed=3).run_all(6)]
    numbers = random.Random(0).sample(range(6), 6)
    others = Replicates(study, seed=3)
    shuffled = [others.run(number) for number in numbers]
    assert [shuffled[numbers.index(number)] for number in range(6)] == in_order
    assert summarise(shuffled) == summarise(in_order)


def test_another_seed_gives_other_replicates(study: Study) -> None:
    assert Replicates(study, seed=1).run(0) != Replicates(study, seed=2).run(0)


def test_confirmations_never_train_with_a_seed_of_the_search(study: Study) -> None:
    """The score of a look-up tells its seed."""
    replicates, table = Replicates(study), known_table()
    for number in range(4):
        results, _ = replicates.look_up_study(number)
        seeds: dict[bool, set[int]] = {True: set(), False: set()}
        for result in results:
            row = table.cells[LRS.index(result.trial.config.schedule.peak_lr), result.trial.batch_size // 64]
            column = [*table.scores[row]].index(result.validation_score)
            seeds[result.trial.role == "confirmation"].add(table.seeds[column])
        assert len(seeds[True]) == 5
        assert seeds[True] & seeds[False] == set()


def test_what_the_table_lacks_is_counted(study: Study) -> None:
    """The rule asks for 0.032 at batch size 256, which the table does not have."""
    found = Replicates(known_study(STUDY.replace("batch_sizes: [64]", "batch_sizes: [64, 256]"))).run(0)
    assert found.num_failed == 4 + 5 + 5
    assert [one.kind for one in found.sentences if one.batch_size == 256] == [None, *["cannot be judged"] * 2]


def test_an_application_that_trains_is_refused() -> None:
    trained = study_from_text(TRAINED, "trained.yaml")
    assert APPLICATIONS["lenet_mnist"].look_up is None
    with pytest.raises(BadInput, match=r"^study 'trained': its application 'lenet_mnist' trains its models, and "):
        Replicates(trained)


def test_more_confirmations_than_the_table_has_seeds_are_refused(study: Study) -> None:
    many = study.model_copy(update={"seeds": tuple(range(13))})
    with pytest.raises(BadInput, match="asks for 13 confirmations, and the table known has 12 seeds"):
        Replicates(many)
