"""The sentences of a report: the verdict and the caveats, each from a study to which it applies."""

from dataclasses import replace

from tests.complete_study import complete_results
from tests.judged_study import judged
from tests.reported_study import definition, reported
from tests.synthetic_study import CHANCE, confirmations, result
from zerotune.tuner.reports.text.caveats import caveats
from zerotune.tuner.reports.text.findings import findings
from zerotune.tuner.reports.text.methods_section import methods
from zerotune.tuner.reports.text.verdict import first_lines, summary_line

GOOD, AS_GOOD, WORSE = [0.990, 0.991, 0.992], [0.9901, 0.9911, 0.9921], [0.95, 0.951, 0.952]
UNSURE = [0.999, 0.95, 0.98]


def study(scores, *, batch_sizes=(1024,), searches=True, num_search=2):
    """Return a study of these arms alone; `scores` holds, by arm, the test scores at every batch size."""
    stored = definition(batch_sizes=list(batch_sizes))
    stored["arms"] = [arm for arm in stored["arms"] if arm["name"] in scores]
    results = [run for size in batch_sizes for arm, tests in scores.items() for run in confirmations(arm, size, tests)]
    if searches:
        for size in batch_sizes:
            results += [result("tuned", size, "search", n, validation=0.99 - n / 1000) for n in range(num_search)]
        results += [result("baseline", 256, "baseline", 0, validation=0.99, lr=0.1)]
    return reported(stored, results)


def lines(subject, cost="trials"):
    return first_lines(subject.comparison, cost=cost)


def said(subject, word):
    return [sentence for sentence in caveats(subject) if word in sentence]


def with_baseline(scores, tests, **given):
    """Return a study of these arms with this confirmed baseline."""
    subject = study(scores, **given)
    return reported(subject.origin.definition, [*subject.results, *confirmations("baseline", 256, tests)])


FIVE = [0.9885, 0.9895, 0.989, 0.9888, 0.9892]
AS_FIVE = [0.9887, 0.9893, 0.9891, 0.989, 0.9889]
FAR = [0.939, 0.938, 0.94, 0.9392, 0.9388]


def test_a_clear_yes_has_its_evidence_its_saving_and_what_could_still_fail():
    subject = with_baseline({"tuned": FIVE, "legw": AS_FIVE}, FIVE, num_search=6)
    assert lines(subject) == (
        "Yes: skip tuning at B=1,024 (legw). 5 of 5 trainings kept 99.5% of the small batch's 98.90% (tuned: 5 of 5); "
        "up to 45% could still fail, 5 trainings cannot say less. It takes 1 training instead of the 6 that this study "
        "gave tuning and spares 1.5 TFLOPs; 3 such trials do as well on average; tuning the baseline at B0=256 took 1 "
        "training, paid off after 1 batch size.",
    )


def test_a_lost_seed_is_no_whatever_the_others_score():
    subject = with_baseline({"tuned": [0.68, 0.84, 0.89], "date": [0.971, 0.973, 0.114]}, [0.9795, 0.979, 0.98])
    assert lines(subject) == (
        "No, tune again at B=1,024: date is unreliable. 1 of 3 trainings ended nearer to guessing than to the baseline "
        "(true rate 1% to 91%). Tuned (2 trials) gave 68.0 84.0 89.0: no training of either keeps 99.5% of the small "
        "batch's 97.95%.",
    )
    (detail,) = findings(subject.comparison, cost="trials")
    assert "unreliable (97.10 97.30 11.4✗; tuned 68.0 84.0 89.0)" in detail


def test_both_at_chance_cannot_be_judged():
    same = [0.1135] * 3
    (line,) = lines(with_baseline({"tuned": same, "date": same}, same))
    assert line == (
        "B=1,024 cannot be judged: the baseline at B0=256 is no better than guessing: 11.3 11.3 11.3 (guessing gives "
        "10.00%)."
    )


def test_a_collapsed_reference_cannot_judge():
    (line,) = lines(with_baseline({"tuned": [0.1, 0.1135, 0.098], "date": GOOD}, GOOD))
    assert line.startswith("B=1,024 cannot be judged: tuned lost most of its seeds: 10.0✗ ")


def test_three_seeds_above_a_weak_reference_are_a_less_certain_yes():
    subject = with_baseline({"tuned": [0.68, 0.84, 0.89], "sqrt": [0.935, 0.932, 0.939]}, [0.9365, 0.937, 0.936])
    assert lines(subject)[0].startswith(
        "Yes, but less certain: skip tuning at B=1,024 (sqrt). 3 of 3 trainings kept 99.5% of the small batch's 93.65% "
        "(tuned: 0 of 3); up to 63% could still fail, 3 trainings cannot say less."
    )


def test_a_batch_that_is_too_large_for_both_is_said():
    subject = with_baseline({"tuned": [0.68, 0.84, 0.89], "sqrt": [0.935, 0.932, 0.939]}, [0.965, 0.966, 0.964])
    assert lines(subject) == (
        "B=1,024 is too large for this budget of epochs. On average neither sqrt nor tuned keeps 99.5% of the "
        "small batch's 96.50% (sqrt 93.5 93.2 93.9, tuned 68.0 84.0 89.0).",
    )


def test_several_arms_with_one_no_are_named_before_their_evidence():
    (line,) = lines(with_baseline({"tuned": FIVE, "legw": FAR, "sqrt": FAR}, FIVE))
    assert line == "No, tune again at B=1,024: legw is worse than tuned by 5.00 points, sqrt by 5.00 points."
    (line,) = lines(with_baseline({"tuned": FIVE, "legw": [0.1, *FAR[1:]], "sqrt": [0.1, 0.1, *FAR[2:]]}, FIVE))
    assert line.startswith(
        "No, tune again at B=1,024: legw and sqrt are unreliable. Legw: 1 of 5 trainings ended nearer to guessing than "
        "to the baseline (true rate 1% to 72%); sqrt: 2 of 5 trainings ended"
    )


def test_a_baseline_that_pays_off_later_in_another_currency_is_said_in_both():
    yes = judged({1024: {"tuned": FIVE, "legw": AS_FIVE}})
    (line,) = first_lines(yes.comparison, cost="device_seconds")
    assert "took 4 trainings, paid off after 1 batch size in FLOPs and after 2 batch sizes in device-seconds." in line
    (line,) = first_lines(yes.comparison, cost="flops")
    assert "took 4 trainings, paid off after 1 batch size." in line


def test_an_arm_that_spares_trials_and_costs_more_says_both():
    found = judged({1024: {"tuned": FIVE, "legw": AS_FIVE}})
    longer = [
        replace(run, cost=replace(run.cost, flops=8 * run.cost.flops)) if run.trial.arm == "legw" else run
        for run in found.results
    ]
    (line,) = first_lines(reported(found.origin.definition, longer).comparison, cost="flops")
    assert "It takes 1 training instead of the 6 that this study gave tuning but costs 2.4 against 1.8 TFLOPs;" in line
    assert "spares" not in line


def test_ties_are_less_certain():
    subject = with_baseline({"tuned": [0.98] * 3, "legw": [0.98] * 3}, [0.98] * 3)
    assert lines(subject)[0].startswith("Yes, but less certain: skip tuning at B=1,024 (legw). 3 of 3 trainings kept")


def test_arms_of_the_same_verdict_stand_together():
    subject = with_baseline({"tuned": FIVE, "date": AS_FIVE, "legw": FAR, "sqrt": [0.7, *FIVE[1:]]}, FIVE)
    (line,) = lines(subject)
    assert line.startswith("Yes: skip tuning at B=1,024 (date). ")
    assert line.endswith(" Not shown: sqrt; worse than tuned: legw by 5.00 points.")


def test_the_whole_study_has_a_line_of_its_own():
    subject = with_baseline({"tuned": FIVE, "legw": AS_FIVE}, FIVE, batch_sizes=(1024, 2048, 4096))
    kept = [run for run in subject.results if (run.trial.arm, run.trial.batch_size) != ("legw", 4096)]
    mixed = reported(subject.origin.definition, [*kept, *confirmations("legw", 4096, FAR)])
    assert lines(mixed)[-1] == (
        "Up to B=2,048 you need not tune again (legw); at B=4,096 you must: legw is worse than tuned or lost seeds."
    )


def test_a_study_without_rules_judges_its_other_arms():
    subject = study({"tuned": FIVE, "defaults": AS_FIVE})
    assert lines(subject)[0].startswith("Yes: defaults does as well as tuned at B=1,024. ")
    worse = study({"tuned": FIVE, "defaults": FAR})
    assert lines(worse) == ("No at B=1,024: defaults is worse than tuned by 5.00 points.",)


def test_nothing_is_judged_before_there_are_scores():
    empty = lines(reported(results=[]))
    assert empty[0] == "B=1,024 cannot be judged: date has no confirmed score."
    assert empty[-1].startswith("At B=1,024, B=2,048 and B=4,096 nothing can be judged")


def test_another_search_that_is_better_than_the_reference_is_a_finding():
    better = [0.9951, 0.9961, 0.9945, 0.9955, 0.9949]
    sentences = findings(study({"tuned": FIVE, "date": AS_FIVE, "defaults": better}).comparison, cost="trials")
    assert [sentence for sentence in sentences if "not the strongest" in sentence] == [
        "B=1,024: defaults, which searches too, is better than tuned, so tuned is not the strongest tuned arm there."
    ]


def test_the_number_of_seeds_stands_beside_the_width_of_the_intervals():
    (sentence,) = said(study({"tuned": GOOD, "legw": UNSURE}), "seeds a configuration")
    assert sentence.startswith("3 seeds a configuration: the intervals of the differences reach ")
    assert "0.50 points may be lost by a yes" in sentence


def test_a_search_that_made_fewer_trials_than_defined_is_a_caveat():
    assert "defaults at B=1,024 (0 of 3)" in said(reported(), "fewer trials than defined")[0]
    assert "tuned at" not in said(reported(), "fewer trials than defined")[0]


def test_a_choice_on_the_edge_of_its_range_is_a_caveat_and_none_is_said_too():
    assert said(reported(), "No chosen number lies on the edge")
    low_is_best = [
        replace(run, validation_score=CHANCE) if run.trial.role == "search" and run.trial.params["lr"] > 0.01 else run
        for run in complete_results()
    ]
    assert "tuned at B=1,024 chose lr 0.01 of 0.01 to 0.08" in said(reported(results=low_is_best), "on the edge")[0]


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


def test_methods_are_this_studys_own():
    stored = definition(seeds=[4, 5], margin=0.98, recipe={"clip_norm": 1.0, "label_smoothing": 0.0})
    stored["arms"][2] = {**stored["arms"][2], "epochs": 40}
    text = " ".join(sentence for passage in methods(reported(stored)) for sentence in passage.sentences)
    for fact in (
        "seeds 4, 5, none of which searched",
        "All search trials train with seed 9",
        "a mean loss of up to 2% of the baseline's mean test score (1.98 points)",
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
        "As good as tuned at 2 of 2 batch sizes: date; at 1 of 2 batch sizes: legw; not shown to be as good as tuned: "
        "sqrt"
    )
    assert summary_line(study({"tuned": GOOD, "sqrt": WORSE}).comparison) == "Not shown to be as good as tuned: sqrt"


def test_trials_that_may_have_been_packed_have_seconds_that_are_not_the_clocks():
    for packing, is_said in (("auto", True), (8, True), (1, False), ("off", False)):
        resources = {**definition()["resources"], "packing": packing}
        found = said(reported(definition(resources=resources)), f"(packing: {packing})")
        assert bool(found) is is_said, packing
        assert all("Seconds to the baseline's score" in sentence and "understated" in sentence for sentence in found)
