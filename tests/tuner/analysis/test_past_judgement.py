"""Past trainings judged: what the parts come to on a small leaderboard, and AlgoPerf's own scores."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.past_trainings import TARGETS, leaderboard_lines, write_table
from zerotune.tuner.analysis.benchmark_score import benchmark_scores
from zerotune.tuner.analysis.past_judgement import PastAnswer, default_reference, judge_past
from zerotune.tuner.analysis.past_searches import past_searches
from zerotune.tuner.analysis.past_studies import PastStudy, expected_best
from zerotune.tuner.commands.judge.text import headline
from zerotune.tuner.past_trainings.algoperf import read_algoperf
from zerotune.tuner.past_trainings.algoperf_benchmark import BENCHMARKS
from zerotune.tuner.past_trainings.training import PastTraining

ARMS = ("quick", "lossy", "poor")
LOSSY, QUICK, POOR = range(3)
"""Places in the answer: by the benchmark's score, then by name."""


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> list[PastTraining]:
    folder = tmp_path_factory.mktemp("leaderboard")
    write_table(folder, leaderboard_lines())
    return read_algoperf(folder)


@pytest.fixture(scope="module")
def answer(trainings: list[PastTraining]) -> PastAnswer:
    return judge_past(trainings, "algoperf_v05", reference="tuned_one", arms=ARMS)


# The verdicts


def test_arms_that_keep_lose_or_fall_below_the_tuned_score_are_told_apart(answer: PastAnswer) -> None:
    kinds = {arm.arm: [one.verdict.kind for one in arm.workloads] for arm in answer.arms}
    assert [one.workload for one in answer.arms[0].workloads] == ["ogbg", "wmt"]
    assert kinds == {"lossy": ["yes", "unreliable"], "quick": ["yes", "yes"], "poor": ["worse", "worse"]}


def test_differences_are_shares_of_the_tuned_median(answer: PastAnswer) -> None:
    quick = answer.arms[QUICK].workloads[0].verdict.difference
    assert quick is not None
    assert quick.mean == pytest.approx((1.002 - 1.001) / (1.001 - 1e-4), rel=0.01)


def test_the_pooled_verdict_is_unreliable_if_one_training_is_lost(answer: PastAnswer) -> None:
    pooled = {arm.arm: (arm.pooled.kind, arm.num_lost, arm.num_trainings) for arm in answer.arms}
    assert pooled["lossy"] == ("unreliable", 1, 10)
    assert pooled["quick"][1:] == (0, 10)
    assert pooled["poor"][0] != "yes"


def test_a_workload_of_which_an_arm_has_no_training_is_lost_in_all_studies(trainings: list[PastTraining]) -> None:
    own = [one for one in trainings if not (one.arm == "quick" and one.workload == "wmt")]
    found = judge_past(own, "algoperf_v05", reference="tuned_one", arms=["quick"]).arms[0].workloads[1]
    assert (found.verdict.kind, dict(found.zero.seeds.lost)) == ("unreliable", dict.fromkeys(range(1, 6), "failed"))


def test_a_training_past_half_way_to_an_untrained_model_is_lost(trainings: list[PastTraining]) -> None:
    """tuned_one's median is 1.001 of the target, the first evaluations 0.01 of it: half-way is just above a half."""
    poor = [one for one in trainings if one.arm == "poor" and one.workload == "wmt"]
    shares = (0.49, 0.52, 0.6, 0.7, 0.8)
    low = [replace(one, arm="low", test_score=share * TARGETS["wmt"]) for one, share in zip(poor, shares, strict=True)]
    found = judge_past([*trainings, *low], "algoperf_v05", reference="tuned_one", arms=["low"])
    assert dict(found.arms[0].workloads[1].zero.seeds.lost) == {1: "half-way"}


def test_nothing_is_judged_against_a_reference_that_guesses(trainings: list[PastTraining]) -> None:
    """The reference's test scores are those of the first evaluations."""
    guessing = [replace(one, test_score=0.01 * TARGETS[one.workload]) if one.tuned else one for one in trainings]
    found = judge_past(guessing, "algoperf_v05", reference="tuned_one", arms=["quick"])
    assert {(one.verdict.kind, one.verdict.reason) for one in found.arms[0].workloads} == {
        ("cannot be judged", "reference guesses")
    }


# Best of k, K*, time and bill


def test_the_best_of_k_is_exact_and_ends_at_the_target(answer: PastAnswer) -> None:
    """Shares 0.8, 1, 0.95, 0.9 of the target, and the missing fifth trial with the score of an untrained model."""
    found = answer.arms[0].workloads[1]
    first = (0.01 + 0.8 + 0.9 + 0.95 + 1.0) / 5
    assert [best / found.target for best in found.best_of_k] == pytest.approx(
        [first, 0.1 * 0.8 + 0.2 * 0.9 + 0.3 * 0.95 + 0.4, 0.1 * 0.9 + 0.3 * 0.95 + 0.6, 0.2 * 0.95 + 0.8, 1.0], abs=1e-4
    )


def test_trials_to_match_are_those_whose_expected_best_is_within_the_margin(answer: PastAnswer) -> None:
    found = {arm.arm: [one.trials_to_match for one in arm.workloads] for arm in answer.arms}
    assert found == {"quick": [5, 5], "lossy": [5, 2], "poor": [2, 2]}


def test_a_wider_margin_needs_fewer_trials(trainings: list[PastTraining]) -> None:
    """quick validates at the target; two trials at 0.945 of it are within a fifth, one at 0.732 is not."""
    found = judge_past(trainings, "algoperf_v05", reference="tuned_one", arms=["quick"], margin=0.8)
    assert found.arms[0].workloads[1].trials_to_match == 2


def test_a_search_is_billed_with_all_its_trials_and_a_success_with_the_failures(answer: PastAnswer) -> None:
    found = {arm.arm: arm.workloads[1] for arm in answer.arms}
    assert (found["quick"].tuned.bill, found["quick"].zero.bill, found["quick"].saved) == (800.0, 300.0, 0.625)
    assert (found["lossy"].zero.bill, found["lossy"].zero.seconds_per_success) == (240.0, 300.0)
    assert found["poor"].zero.seconds_per_success is None


def test_times_to_target_count_studies_that_never_reach_it(answer: PastAnswer) -> None:
    found = {arm.arm: arm.workloads[1] for arm in answer.arms}
    assert (found["quick"].tuned.seconds_to_target, found["quick"].zero.seconds_to_target) == (100.0, 300.0)
    assert (found["lossy"].zero.reached, found["lossy"].zero.seconds_to_target) == (4, 300.0)
    assert (found["poor"].zero.reached, found["poor"].zero.seconds_to_target) == (0, math.inf)


def test_trainings_that_end_at_the_target_are_counted(answer: PastAnswer) -> None:
    """tuned_one goes on for as long again after its target."""
    found = answer.arms[QUICK].workloads[1]
    assert (found.tuned.num_stopped, found.tuned.num_at_target) == (0, 5)
    assert (found.zero.num_stopped, found.zero.num_at_target) == (5, 5)


def test_the_luck_of_a_search_is_the_range_of_its_studies(answer: PastAnswer) -> None:
    """Scores rise by 1e-5 of 1.001 targets a study, and all lose 1e-4 targets."""
    assert answer.arms[0].workloads[1].tuned.luck == pytest.approx(4e-5, rel=0.01)


def test_lower_scores_may_be_better() -> None:
    trials = tuple(
        PastTraining(collection="c", workload="w", arm="a", tuned=True, study="0", trial=number, metric="loss",
                     higher_is_better=False, score=score)
        for number, score in enumerate((3.0, 1.0))
    )  # fmt: skip
    study = PastStudy(trainings=trials, num_missing=1)
    assert study.chosen is trials[1]
    assert expected_best([study], 5.0, 2.0, -1.0) == pytest.approx(((5 + 3 + 2) / 3, (3 + 2 + 2) / 3, 2.0))


def test_without_a_benchmark_the_target_is_the_median_best_of_the_reference(trainings: list[PastTraining]) -> None:
    own = [replace(one, collection="mine") for one in trainings]
    found = judge_past(own, "mine", reference="tuned_one", arms=["quick"]).arms[0].workloads[1]
    assert (found.is_stated, found.target) == (False, pytest.approx(1.001 * 1.00002 * TARGETS["wmt"]))
    assert default_reference(own, "mine") is None


# The benchmark's score


def test_the_score_is_the_area_under_the_profile_of_times_to_target() -> None:
    """b is twice as slow on one of two workloads: half of the profile from 1, all of it from 2 to 4."""
    scores = benchmark_scores({"a": {"x": 10.0, "y": 5.0}, "b": {"x": 20.0, "y": 5.0}}, {})
    assert scores == {"a": pytest.approx(1.0), "b": pytest.approx(0.5 + 0.5 * 2 / 3, abs=0.005)}


@pytest.mark.parametrize("variant", [math.inf, 50.0])
def test_a_variant_that_is_missed_or_far_slower_takes_its_workload(variant: float) -> None:
    times = {"a": {"x": 10.0, "x2": 10.0}, "b": {"x": 10.0, "x2": variant}}
    assert benchmark_scores(times, {"x2": "x"})["b"] == 0.0


def test_the_default_reference_is_the_tuned_arm_with_the_best_score(trainings: list[PastTraining]) -> None:
    assert default_reference(trainings, "algoperf_v05") == "tuned_one"


@pytest.fixture(scope="module")
def algoperf(data_folder: Path) -> list[PastTraining]:
    if not (data_folder / "algoperf").is_dir():
        pytest.skip(f"no algoperf/ in {data_folder}: AlgoPerf's trainings are not here")
    return read_algoperf(data_folder / "algoperf")


def test_algoperfs_published_scores_follow_from_its_trainings(algoperf: list[PastTraining]) -> None:
    """14 of 17 within 0.002, the others within 0.03: curves have at most twelve points."""
    found = judge_past(algoperf, "algoperf_v05", reference="shampoo_submission", arms=["schedule_free_adamw"])
    published = BENCHMARKS["algoperf_v05"].published
    distances = [abs(found.tuned_scores[arm] - score) for arm, score in published["tuned"].items()]
    distances += [abs(found.zero_scores[arm] - score) for arm, score in published["zero-tuned"].items()]
    assert sum(distance < 0.002 for distance in distances) == 14
    assert max(distances) < 0.03


def test_the_page_on_past_trainings_begins_with_what_algoperf_says(algoperf: list[PastTraining]) -> None:
    own = [one for one in algoperf if one.collection == "algoperf_v05"]
    reference = default_reference(own, "algoperf_v05")
    assert reference == "shampoo_submission"
    arms = sorted({one.arm for one in own if not one.tuned})
    page = (Path(__file__).parents[3] / "docs" / "past_trainings.md").read_text(encoding="utf-8")
    found = judge_past(own, "algoperf_v05", reference=reference, arms=arms)
    assert headline(found) in " ".join(page.replace("\n> ", " ").split())


# Collections without an arm that was not tuned


def test_searches_are_told_by_workload_arm_and_batch_size_with_lost_trials_as_untrained(
    trainings: list[PastTraining],
) -> None:
    own = [one for one in trainings if one.arm == "tuned_one" and one.workload == "wmt" and one.study == "0"]
    own.append(replace(own[0], score=None, status="diverged", curve=()))
    (found,) = past_searches(own)
    target = TARGETS["wmt"]
    assert (found.num_trials, found.num_lost, found.best) == (5, 1, pytest.approx(1.001 * target))
    assert found.expected_best == {
        1: pytest.approx(target * (0.8 + 1.001 + 0.95 + 0.9 + 0.01) / 5),
        5: pytest.approx(1.001 * target),
    }
