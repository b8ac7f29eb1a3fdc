"""The verdict on an arm, from the scores of its seeds, the reference's and the baseline's."""

import pytest

from zerotune.tuner.analysis.lost_seeds import Guessing, Seeds
from zerotune.tuner.analysis.verdict import Contest, Yardstick, judge

ACCURACY = Guessing(score=0.1, metric="accuracy", higher_is_better=True)
BASELINE = [0.965, 0.966, 0.964, 0.965, 0.965]


def seeds(*scores: float | None, guessing: Guessing = ACCURACY, baseline: float = 0.965) -> Seeds:
    """Return seeds with these scores; those past half-way to guessing, or without a score, are lost."""
    half, sign = guessing.half_way(baseline), 1 if guessing.higher_is_better else -1
    is_sound = [score is not None and (half is None or sign * (score - half) >= 0) for score in scores]
    return Seeds(
        scores={i: score for i, score in enumerate(scores) if is_sound[i] and score is not None},
        lost={i: "half-way" if score else "failed" for i, score in enumerate(scores) if not is_sound[i]},
        lost_scores={i: score for i, score in enumerate(scores) if not is_sound[i] and score is not None},
    )


def verdict(arm, reference, *, baseline=BASELINE, margin=0.98, test_samples=None, guessing=ACCURACY, others=0):
    """Judge an arm, beside others that equal it in the number of comparisons only."""
    level = baseline[0] if baseline else 0.965
    yardstick = Yardstick(
        guessing=guessing,
        margin=margin,
        baseline=seeds(*baseline, guessing=guessing, baseline=level),
        test_samples=test_samples,
    )
    contest = Contest(
        arm=seeds(*arm, guessing=guessing, baseline=level),
        reference=seeds(*reference, guessing=guessing, baseline=level),
    )
    unlike = Contest(arm=seeds(0.96, 0.6, 0.9, 0.7, 0.8), reference=seeds(0.6, 0.96, 0.7, 0.9, 0.8))
    return judge({("arm", 512): contest, **{(f"{n}", 512): unlike for n in range(others)}}, yardstick)["arm", 512]


TUNED = [0.960, 0.962, 0.961, 0.959, 0.963]
AS_GOOD = [0.959, 0.963, 0.960, 0.960, 0.962]


def test_an_arm_that_is_as_good_on_all_seeds_is_a_yes():
    found = verdict(AS_GOOD, TUNED)
    assert (found.kind, found.finding, found.num_kept, found.reference_kept) == ("yes", "as good", 5, 5)
    assert found.spares_tuning


def test_one_lost_seed_in_three_makes_an_arm_unreliable_however_good_the_others_are():
    found = verdict([0.971, 0.973, 0.114], [0.68, 0.84, 0.89])
    assert found.kind == "unreliable"
    assert not found.spares_tuning


@pytest.mark.parametrize("lost", [None, 0.11, 0.5])
def test_a_seed_is_lost_that_failed_collapsed_or_fell_past_half_way(lost):
    assert verdict([*AS_GOOD[:4], lost], TUNED).kind == "unreliable"


def test_two_arms_at_chance_cannot_be_judged():
    """11.35% is the share of the most frequent digit in MNIST: both give every image the same class."""
    both = [0.1135] * 5
    assert verdict(both, both, baseline=both).reason == "baseline guesses"
    yardstick = Yardstick(guessing=ACCURACY, margin=0.98, baseline=Seeds())
    contest = Contest(arm=Seeds(scores=dict(enumerate(both))), reference=Seeds(scores=dict(enumerate(both))))
    assert judge({("date", 512): contest}, yardstick)["date", 512].kind == "cannot be judged"


def test_a_collapsed_reference_cannot_judge_an_arm():
    found = verdict(AS_GOOD, [0.1135, 0.098, 0.1135, 0.1, 0.1135])
    assert (found.kind, found.reason) == ("cannot be judged", "reference guesses")


def test_a_reference_that_lost_a_seed_gives_no_certain_yes():
    assert verdict(AS_GOOD, [*TUNED[:4], 0.1]).kind == "yes, but"


def test_where_the_reference_is_unreliable_the_small_batch_is_the_measure():
    assert verdict([0.964, 0.965, 0.963], [0.966, 0.1, 0.2, 0.967, 0.9][:3]).kind == "cannot be judged"
    assert verdict([0.964, 0.965, 0.963, 0.964, 0.966], [0.99, 0.2, 0.93, 0.97, 0.1]).kind == "yes, but"
    assert verdict([0.90, 0.965, 0.92, 0.964, 0.93], [0.99, 0.2, 0.93, 0.97, 0.1]).kind == "not shown"


def test_ties_are_no_certainty():
    same = [0.96] * 3
    assert verdict(same, same).kind == "yes, but"  # nothing is known of the noise
    assert verdict(same, same, test_samples=10_000).kind == "yes"
    small = verdict(same, same, test_samples=200)
    assert small.kind == "yes, but"
    assert small.difference is not None
    assert small.difference.high is not None
    assert small.difference.high > 0.03


def test_arms_that_trained_the_same_are_equal_by_construction():
    yardstick = Yardstick(guessing=ACCURACY, margin=0.98, baseline=seeds(*BASELINE))
    contest = Contest(arm=seeds(*TUNED[:3]), reference=seeds(*TUNED[:3]), same_training=True)
    assert judge({("sqrt", 512): contest}, yardstick)["sqrt", 512].kind == "yes"


ADAM, WEAK = [0.935, 0.932, 0.939], [0.68, 0.84, 0.89]


def test_three_seeds_that_agree_against_a_weak_reference_are_a_less_certain_yes():
    found = verdict(ADAM, WEAK, baseline=[0.94, 0.941, 0.939])
    assert (found.kind, found.finding) == ("yes, but", "likely as good")
    assert (found.num_kept, found.reference_kept) == (3, 0)


def test_where_neither_keeps_the_small_batchs_score_the_batch_is_too_large():
    assert verdict(ADAM, WEAK, baseline=[0.965, 0.966, 0.964]).kind == "batch too large"
    assert verdict([0.97, 0.98, 0.12], WEAK).kind == "unreliable"  # said first


def test_clearly_worse_is_no():
    found = verdict([0.90, 0.902, 0.901, 0.899, 0.9], TUNED)
    assert (found.kind, found.finding) == ("worse", "worse by more")
    close = verdict([0.948, 0.930, 0.945, 0.932, 0.940], TUNED)
    assert (close.kind, close.finding) == ("worse", "worse")


def test_worse_within_the_margin_is_as_good():
    found = verdict([score - 0.005 for score in AS_GOOD], TUNED)
    assert found.kind == "yes"


def test_what_few_seeds_cannot_show_says_how_many_would():
    found = verdict([0.97, 0.93, 0.95, 0.94, 0.962], TUNED)
    assert found.kind == "not shown"
    assert found.seeds_needed is not None
    assert found.seeds_needed > 5


def test_a_single_seed_shows_nothing():
    found = verdict([0.96], [0.96])
    assert (found.kind, found.seeds_needed) == ("not shown", None)


def test_the_number_of_comparisons_counts():
    arm = [0.952, 0.948, 0.962, 0.945, 0.957]
    assert verdict(arm, TUNED).kind == "yes"
    assert verdict(arm, TUNED, others=13).kind == "yes, but"


def test_five_seeds_must_agree_in_an_exact_test_too():
    arm = [score + 0.02 for score in TUNED[:4]] + [TUNED[4] - 0.025]
    assert verdict(arm, TUNED, margin=0.99).kind != "yes"


@pytest.mark.parametrize(("arm", "kind"), [([121.0, 120.5, 120.5], "yes"), ([150.0, 151.0, 152.0], "worse")])
def test_lower_is_better_for_perplexity(arm, kind):
    guessing = Guessing(score=10_000.0, metric="perplexity", higher_is_better=False)
    reference, baseline = [120.0, 120.6, 119.8], [119.0, 119.5, 118.8]
    assert verdict(arm, reference, baseline=baseline, guessing=guessing).kind == kind


def test_half_way_of_a_perplexity_is_by_its_logarithm():
    guessing = Guessing(score=10_000.0, metric="perplexity", higher_is_better=False)
    assert guessing.half_way(100.0) == pytest.approx(1000.0)
    assert not guessing.is_better(9_000.0)
    assert guessing.is_better(500.0)


def test_an_unconfirmed_arm_or_reference_is_named():
    assert verdict([], TUNED).reason == "unconfirmed"
    assert verdict(AS_GOOD, []).reason == "reference unconfirmed"


def test_more_seeds_are_named_only_where_they_can_change_the_verdict():
    """A reference that lost a seed allows no plain yes; its lost seeds give no pair, so more are needed."""
    one_lost, spread = [*TUNED[:4], 0.12], [0.97, 0.93, 0.95, 0.94, 0.945]
    sound, fewer_pairs = verdict(spread[:4], TUNED[:4]), verdict(spread, one_lost)
    assert (sound.kind, fewer_pairs.kind, fewer_pairs.num_pairs) == ("not shown", "not shown", 4)
    assert fewer_pairs.seeds_needed == pytest.approx(sound.seeds_needed * 5 / 4, abs=1)
    likely = verdict(AS_GOOD, one_lost)
    assert (likely.kind, likely.seeds_needed) == ("yes, but", None)
