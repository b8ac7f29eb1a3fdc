"""The sentences of a report: the verdict and the caveats, each from a study to which it applies."""

from dataclasses import replace

from tests.complete_study import complete_results
from tests.reported_study import definition, reported
from tests.synthetic_study import CHANCE, confirmations, result
from zerotune.tuner.reports.text.caveats import caveats
from zerotune.tuner.reports.text.headlines import summary_line
from zerotune.tuner.reports.text.methods_section import methods
from zerotune.tuner.reports.text.verdict import findings, verdict_sentence

GOOD, AS_GOOD, WORSE = [0.990, 0.991, 0.992], [0.9901, 0.9911, 0.9921], [0.95, 0.951, 0.952]
UNSURE = [0.999, 0.95, 0.98]


def study(scores, *, batch_sizes=(1024,), searches=True):
    """Return a study of these arms alone; `scores` holds, by arm, the test scores at every batch size."""
    stored = definition(batch_sizes=list(batch_sizes))
    stored["arms"] = [arm for arm in stored["arms"] if arm["name"] in scores]
    results = [run for size in batch_sizes for arm, tests in scores.items() for run in confirmations(arm, size, tests)]
    if searches:
        results += [result("tuned", size, "search", 0, validation=0.99) for size in batch_sizes]
        results += [result("baseline", 256, "baseline", 0, validation=0.99, lr=0.1)]
    return reported(stored, results)


def verdict(subject, cost="trials"):
    return verdict_sentence(subject.comparison, cost=cost)


def said(subject, word):
    return [sentence for sentence in caveats(subject) if word in sentence]


def test_an_arm_that_is_as_good_everywhere_is_named_with_what_it_saves():
    assert verdict(study({"tuned": GOOD, "legw": AS_GOOD}, batch_sizes=(1024, 2048))) == (
        "legw does as well as tuned at both batch sizes, saving 50% of trainings (0% with the baseline's bill)."
    )


def test_a_stated_baseline_has_no_bill_in_the_verdict():
    assert verdict(study({"tuned": GOOD, "date": AS_GOOD})) == (
        "date does as well as tuned at B=1024, saving 50% of trainings."
    )


def test_arms_of_the_same_fate_stand_together():
    assert verdict(study({"tuned": GOOD, "date": AS_GOOD, "legw": WORSE, "sqrt": UNSURE, "linear": UNSURE})) == (
        "date does as well as tuned at B=1024, saving 50% of trainings; legw falls short; sqrt and linear are "
        "undecided."
    )


def test_no_good_arm_is_said_first():
    assert verdict(study({"tuned": GOOD, "legw": WORSE, "sqrt": UNSURE})) == (
        "No zero-tuning arm is shown to do as well as tuned at B=1024: legw falls short; sqrt is undecided."
    )


def test_an_arm_that_is_as_good_at_some_batch_sizes_is_named_with_those():
    subject = study({"tuned": GOOD, "legw": AS_GOOD}, batch_sizes=(1024, 2048))
    worse = [run for run in subject.results if (run.trial.arm, run.trial.batch_size) != ("legw", 2048)]
    mixed = reported(subject.origin.definition, [*worse, *confirmations("legw", 2048, WORSE)])
    assert verdict(mixed) == "legw does as well as tuned at B=1024 (falls short at B=2048)."


def test_a_study_without_rules_judges_its_other_arms():
    subject = study({"tuned": GOOD, "defaults": WORSE})
    assert verdict(subject) == "No arm is shown to do as well as tuned at B=1024: defaults falls short."


def test_nothing_is_judged_before_there_are_scores():
    assert verdict(reported(results=[])).startswith("Nothing can be judged yet: tuned and the others")


def test_another_search_that_beats_the_reference_is_a_finding():
    better = [0.9951, 0.9961, 0.9971]
    sentences = findings(study({"tuned": GOOD, "date": AS_GOOD, "defaults": better}).comparison, cost="trials")
    assert [sentence for sentence in sentences if "not the strongest" in sentence] == [
        "At B=1024 defaults, which searches too, beats tuned: tuned is not the strongest tuned arm there."
    ]


def test_who_keeps_the_baselines_score_is_a_finding():
    subject = study({"tuned": GOOD, "date": AS_GOOD, "legw": WORSE})
    runs = confirmations("baseline", 256, [0.992, 0.993, 0.994])
    sentences = findings(reported(subject.origin.definition, [*subject.results, *runs]).comparison, cost="trials")
    expected = "At B=1024 tuned and date stay within 0.5% of what the baseline scores at B0=256 (99.30%)."
    assert sentences[-1] == expected


def test_the_number_of_seeds_stands_beside_the_width_of_the_intervals():
    (sentence,) = said(study({"tuned": GOOD, "legw": UNSURE}), "seeds a configuration")
    assert sentence.startswith("3 seeds a configuration: the intervals of the differences reach ")
    assert "0.50 points may be lost by a match" in sentence


def test_undecided_and_diverged_runs_are_caveats():
    subject = reported()
    undecided = [row for row in subject.comparison.rows if row.verdict and row.verdict.finding == "undecided"]
    (sentence,) = said(subject, "Undecided: ")
    assert all(f"{row.arm} at B={row.batch_size}" in sentence for row in undecided)
    assert said(subject, "Diverged")[0].count("linear at B=4096 (3 of 3)") == 1


def test_a_search_that_made_fewer_trials_than_defined_is_a_caveat():
    assert "defaults at B=1024 (0 of 3)" in said(reported(), "fewer trials than defined")[0]
    assert "tuned at" not in said(reported(), "fewer trials than defined")[0]


def test_a_choice_on_the_edge_of_its_range_is_a_caveat_and_none_is_said_too():
    assert said(reported(), "No chosen number lies on the edge")
    low_is_best = [
        replace(run, validation_score=CHANCE) if run.trial.role == "search" and run.trial.params["lr"] > 0.01 else run
        for run in complete_results()
    ]
    assert "tuned at B=1024 chose lr 0.01 of 0.01 to 0.08" in said(reported(results=low_is_best), "on the edge")[0]


def test_of_two_values_either_may_be_an_edge_and_that_is_a_caveat():
    stored = definition()
    two = {"lr": {"choices": [0.01, 0.02]}}
    stored["baseline"]["tune"]["space"] = two
    for arm in stored["arms"]:
        if "space" in arm:
            arm["space"] = two
    assert said(reported(stored), "a better one may lie outside") == [
        "Nothing was searched over a range: of two values or of names, a better one may lie outside."
    ]


def test_the_longest_training_is_what_the_study_reaches():
    assert said(reported(), "and 30 epochs: nothing here says what a longer training would change")
    stored = definition()
    stored["arms"][2]["epochs"] = 60
    assert said(reported(stored), "and at most 60 epochs: nothing here says")


def test_a_search_that_learns_is_no_estimate_unless_it_was_repeated():
    assert not said(reported(), "not exchangeable")
    stored = definition()
    stored["arms"][0] = {**stored["arms"][0], "method": "optuna", "trials": 12}
    assert said(reported(stored), "The search of tuned learns from earlier trials, so these are not exchangeable")
    stored["arms"][0] = {**stored["arms"][0], "repeats": 3}
    assert not said(reported(stored), "not exchangeable")


def test_different_devices_are_reported_from_one_machine():
    one = [replace(run, host="node-1", device="CPU") for run in complete_results()]
    assert said(reported(results=one), "One machine")
    two = [replace(run, device="GPU") if run.trial.batch_size > 1024 else run for run in one]
    assert "different devices (CPU and GPU)" in said(reported(results=two), "devices")[0]


def test_a_stated_baseline_is_a_caveat():
    stated = study({"tuned": GOOD, "legw": AS_GOOD}, searches=False)
    assert said(stated, "was stated, not searched")
    assert not said(study({"tuned": GOOD, "legw": AS_GOOD}), "was stated, not searched")


def test_the_bill_of_a_stated_baseline_is_reported_of_the_rules_that_rest_on_it_alone():
    (caveat,) = said(
        study({"tuned": GOOD, "legw": AS_GOOD, "date": AS_GOOD}, searches=False), "was stated, not searched"
    )
    assert caveat.endswith("is not billed to legw.")  # date states a baseline of its own


def test_arms_without_a_confirmed_score_are_not_said_to_fall_below_the_baseline():
    low = [*confirmations("tuned", 1024, WORSE), *confirmations("baseline", 256, GOOD)]
    stored = definition(batch_sizes=[1024])
    assert "At B=1024 no confirmed arm stays within" in " ".join(
        findings(reported(stored, low).comparison, cost="trials")
    )
    stored["arms"] = [arm for arm in stored["arms"] if arm["name"] == "tuned"]
    assert "no arm, tuned or not, stays" in " ".join(findings(reported(stored, low).comparison, cost="trials"))


def test_methods_are_this_studys_own():
    stored = definition(seeds=[4, 5], margin=0.98, recipe={"clip_norm": 1.0, "label_smoothing": 0.0})
    stored["arms"][2] = {**stored["arms"][2], "epochs": 40}
    text = " ".join(sentence for passage in methods(reported(stored)) for sentence in passage.sentences)
    for fact in (
        "seeds 4, 5, none of which searched",
        "All search trials train with seed 9",
        "a loss of up to 2% of the baseline's mean test score (1.98 points)",
        "30 epochs in every training",
        "epochs of their own, which are billed for them: legw 40",
        "Recipe of every training: clip_norm 1.",
    ):
        assert fact in text


def test_a_figures_headline_groups_arms_by_how_often_they_are_as_good():
    subject = study({"tuned": GOOD, "date": AS_GOOD, "legw": AS_GOOD, "sqrt": WORSE}, batch_sizes=(1024, 2048))
    worse = [run for run in subject.results if (run.trial.arm, run.trial.batch_size) != ("legw", 2048)]
    mixed = reported(subject.origin.definition, [*worse, *confirmations("legw", 2048, WORSE)])
    assert summary_line(mixed.comparison) == (
        "As good as tuned at both batch sizes: date; at 1 of 2: legw; not shown to be as good as tuned: sqrt"
    )
    assert summary_line(study({"tuned": GOOD, "sqrt": WORSE}).comparison) == "Not shown to be as good as tuned: sqrt"


def test_trials_that_may_have_been_packed_have_seconds_that_are_not_the_clocks():
    for packing, is_said in (("auto", True), (8, True), (1, False), ("off", False)):
        resources = {**definition()["resources"], "packing": packing}
        found = said(reported(definition(resources=resources)), f"(packing: {packing})")
        assert bool(found) is is_said, packing
        assert all("Seconds to the baseline's score" in sentence and "understated" in sentence for sentence in found)
