"""Performance profiles: ratios, shares and areas computed by hand, and which arms solve a workload."""

import math
import random
from statistics import fmean

import numpy as np
import pytest

from tests.synthetic_study import confirmations, facts, result, study_results
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.commands.profile.profiles import (
    TAU_MAX,
    PerformanceProfiles,
    cost_ratios,
    performance_profiles,
    profile_area,
    share_within,
)
from zerotune.tuner.errors import BadInput

INF = math.inf


@pytest.fixture(scope="module")
def study() -> Comparison:
    return compare(facts(), study_results())


def small(name: str, **arms: list[float]) -> Comparison:
    """Return a study at batch size 1024 with these test scores by arm. "tuned", the reference, searched in 4 trials."""
    results = [
        result("tuned", 1024, "search", index, validation=0.9, seconds=10.0, finished_at=-1.0) for index in range(4)
    ]
    for arm, tests in arms.items():
        results += confirmations(arm, 1024, tests)
    return compare(facts(name=name, arms=tuple(arms), batch_sizes=(1024,), reference=next(iter(arms))), results)


def ratios(found: PerformanceProfiles) -> dict[str, list[float]]:
    return {profile.arm: [entry.ratio for entry in profile.entries] for profile in found.arms}


# Numbers


def test_ratios_are_against_the_lowest_cost_of_each_workload():
    costs = {"a": [4.0, 6.0, INF, INF], "b": [2.0, 9.0, 5.0, INF], "c": [8.0, INF, 10.0, INF]}
    assert cost_ratios(costs) == {
        "a": (2.0, 1.0, INF, INF),
        "b": (1.0, 1.5, 1.0, INF),
        "c": (4.0, INF, 2.0, INF),
    }


def test_the_profile_is_the_share_of_ratios_up_to_tau():
    own = [1.0, 2.0, 2.0, INF]
    assert [share_within(own, tau) for tau in (1.0, 1.9, 2.0, 1e9)] == [0.25, 0.25, 0.75, 0.75]


def test_the_area_is_the_integral_of_the_profile_over_log_tau():
    noise = random.Random(4)
    own = [1.0, INF, *(math.exp(noise.uniform(0.0, 6.0)) for _ in range(6))]  # some lie beyond tau_max
    log_taus = np.linspace(0.0, math.log(50.0), 20_001)
    integral = fmean(share_within(own, tau) for tau in np.exp(log_taus))
    assert profile_area(own, 50.0) == pytest.approx(integral, abs=1e-3)


def test_the_area_is_one_for_the_cheapest_everywhere_and_zero_where_nothing_is_solved_in_time():
    assert profile_area([1.0, 1.0]) == 1.0
    assert profile_area([INF, TAU_MAX, 2 * TAU_MAX]) == 0.0


# What counts


def test_an_arm_solves_a_workload_where_its_verdict_is_a_yes_and_the_reference_always_does(study):
    found = performance_profiles([study], "flops", with_baseline=False)
    for profile in found.arms:
        for entry, batch_size in zip(profile.entries, (1024, 2048, 4096), strict=True):
            verdict = study.row(profile.arm, batch_size).verdict
            expected = "reference" if profile.arm == "tuned" else verdict.kind
            assert (entry.study, entry.batch_size, entry.finding) == ("synthetic", batch_size, expected)
            assert math.isfinite(entry.ratio) == (expected in ("reference", "yes", "yes, but"))
    findings = {entry.finding for profile in found.arms for entry in profile.entries}
    assert {"reference", "yes, but", "worse", "not shown", "unreliable"} <= findings


def test_the_cost_is_that_to_a_model_with_all_search_trials(study):
    found = ratios(performance_profiles([study], "trials", with_baseline=False))
    assert found["date"] == [1.0, 1.0, 1.0]
    assert found["tuned"] == [12.0, 12.0, 12.0]
    assert found["linear"] == [INF, INF, INF]


def test_the_baselines_search_is_billed_to_every_workload_where_asked(study):
    found = ratios(performance_profiles([study], "trials", with_baseline=True))
    assert found["date"] == [pytest.approx(13 / 12)] * 3  # 12 trials of the baseline and one training
    assert found["tuned"] == [1.0, 1.0, 1.0]


def test_every_study_and_batch_size_is_a_workload():
    found = performance_profiles(
        [
            small("one", tuned=[0.90, 0.91, 0.92], date=[0.90, 0.91, 0.92]),
            small("two", tuned=[0.90, 0.91, 0.92], date=[0.80, 0.82, 0.81]),
        ],
        "trials",
        with_baseline=False,
    )
    assert found.num_workloads == 2
    assert ratios(found) == {"tuned": [4.0, 1.0], "date": [1.0, INF]}
    tuned, date = found.arms
    assert (tuned.area, date.area) == (pytest.approx(1 - math.log(4) / math.log(100) / 2), 0.5)
    assert [tuned.share_within(tau) for tau in (1.0, 3.9, 4.0)] == [0.5, 0.5, 1.0]
    assert found.left_out == ()


def test_arms_that_do_not_stand_in_all_studies_are_named_with_where_they_are_missing():
    scores = [0.90, 0.91, 0.92]
    found = performance_profiles(
        [
            small("one", tuned=scores, legw=scores, sqrt=scores, date=scores),
            small("two", tuned=scores, linear=scores, date=scores),
        ],
        "trials",
        with_baseline=False,
    )
    assert [profile.arm for profile in found.arms] == ["tuned", "date"]
    assert found.left_out == (
        "Left out: legw, sqrt, which do not stand in two.",
        "Left out: linear, which does not stand in one.",
    )


def test_a_workload_that_is_not_confirmed_yet_is_left_out_for_all_arms():
    begun = small("begun", tuned=[0.90, 0.91, 0.92], date=[])
    done = small("done", tuned=[0.90, 0.91, 0.92], date=[0.90, 0.91, 0.92])
    found = performance_profiles([begun, done], "trials", with_baseline=False)
    assert ratios(found) == {"tuned": [4.0], "date": [1.0]}
    assert found.left_out == ("Left out: begun at B=1,024, where date has no confirmed score.",)


def test_an_arm_all_of_whose_runs_failed_has_solved_nothing():
    results = [
        *confirmations("tuned", 1024, [0.90, 0.91]),
        result("date", 1024, "confirmation", 0, validation=None, status="failed"),
    ]
    study = compare(facts(arms=("tuned", "date"), batch_sizes=(1024,)), results)
    (_, date) = performance_profiles([study], "trials", with_baseline=False).arms
    assert [(entry.finding, entry.bill, entry.ratio) for entry in date.entries] == [("unreliable", None, INF)]


def test_what_cannot_be_profiled_is_refused_in_a_sentence(study):
    scores = [0.90, 0.91, 0.92]
    with pytest.raises(BadInput, match=r"^synthetic: named twice"):
        performance_profiles([study, study], "flops", with_baseline=False)
    with pytest.raises(BadInput, match=r"^unknown cost axis 'dollars': choose one of trials"):
        performance_profiles([study], "dollars", with_baseline=False)
    one, two = small("one", legw=scores, sqrt=scores), small("two", linear=scores)
    with pytest.raises(BadInput, match=r"^no arm stands in all studies.*: one has legw, sqrt; two has linear$"):
        performance_profiles([one, two], "trials", with_baseline=False)
    with pytest.raises(BadInput, match=r"^no workload can be counted: Left out: begun at B=1,024, where tuned has no"):
        performance_profiles([small("begun", tuned=[], date=scores)], "trials", with_baseline=False)


def test_a_currency_that_was_not_measured_is_refused():
    results = [result("tuned", 1024, "confirmation", seed, validation=0.9, test=0.9, seconds=0.0) for seed in (0, 1)]
    study = compare(facts(arms=("tuned",), batch_sizes=(1024,)), results)
    with pytest.raises(BadInput, match=r"^tuned at B=1,024 has a bill of 0 device_seconds: choose another currency"):
        performance_profiles([study], "device_seconds", with_baseline=False)
