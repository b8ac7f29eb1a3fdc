"""What a report says of a search that was repeated, and of one that starts from a neighbour."""

from collections.abc import Sequence
from dataclasses import replace

from tests.reported_study import definition, reported
from tests.synthetic_study import confirmations, result
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.tables.markup import report_markdown
from zerotune.tuner.reports.tables.repeats import repeats_table
from zerotune.tuner.reports.tables.terminal import notes
from zerotune.tuner.reports.text.caveats import caveats
from zerotune.tuner.reports.text.configuration import format_arm
from zerotune.tuner.reports.text.findings import findings
from zerotune.tuner.reports.text.methods_section import methods
from zerotune.tuner.reports.text.missing import describe_unconfirmed
from zerotune.tuner.reports.text.verdict import first_lines
from zerotune.tuner.trial import Role, TrialResult

LEGW = [0.9887, 0.9893, 0.9891, 0.989, 0.9889]
CHOICES = [
    [0.9885, 0.9895, 0.989, 0.9888, 0.9892],
    [0.9875, 0.9885, 0.988, 0.9878, 0.9882],
    [0.988, 0.989, 0.9885, 0.9883, 0.9887],
]


def searched(repeat: int, tests: list[float]) -> list[TrialResult]:
    """Return a search of six trials and the confirmations of its choice."""
    role: Role = "repeat" if repeat else "search"
    runs = [result("tuned", 1024, role, n, validation=0.99 - n / 1000, lr=0.1 + 0.01 * repeat) for n in range(6)]
    runs += confirmations("tuned", 1024, tests)
    return [replace(run, trial=replace(run.trial, repeat=repeat)) for run in runs]


def study(choices: Sequence[list[float]] = CHOICES, **keys: object) -> Answer:
    stored = definition(batch_sizes=[1024], seeds=[0, 1, 2, 3, 4])
    stored["arms"] = [arm for arm in stored["arms"] if arm["name"] in ("tuned", "legw")]
    stored["arms"][0] = {**stored["arms"][0], "method": "random", "trials": 6, "repeats": 3, **keys}
    results = [run for repeat, tests in enumerate(choices) for run in searched(repeat, tests)]
    results += [*confirmations("legw", 1024, LEGW), *confirmations("baseline", 256, LEGW)]
    return reported(stored, results)


def test_the_answer_counts_all_searches_and_bills_one() -> None:
    subject = study()
    (line,) = first_lines(subject.comparison, cost="trials")
    assert "(tuned: 15 of 15)" in line
    assert "It takes 1 training instead of the 6 that one of its 3 searches took on average" in line
    (detail,) = findings(subject.comparison, cost="trials")
    assert "(95% interval, the luck of 3 searches included)" in detail
    assert any(
        "Of repeated searches one is billed, their mean." in note for note in notes(subject.comparison, cost="trials")
    )


def test_the_report_tells_how_much_searches_differ_instead_of_that_no_interval_holds_it() -> None:
    sentences = caveats(study())
    (spread,) = (sentence for sentence in sentences if "have a standard deviation of" in sentence)
    assert "0.05 points for tuned at B=1,024 (3 searches)" in spread
    assert not any("luck of searching" in sentence for sentence in sentences)
    once = caveats(study(CHOICES[:1], repeats=1))
    assert any("so no interval holds the luck of searching" in sentence for sentence in once)
    passages = " ".join(sentence for passage in methods(study()) for sentence in passage.sentences)
    assert "Searches were repeated (tuned 3 times)" in passages
    assert "Search trials train with seed 9, repeats with their own" in passages


def test_a_table_has_what_every_search_chose_and_scores() -> None:
    subject = study()
    table = repeats_table(subject)
    assert [row[2:5] for row in table.rows] == [("1", "6", "lr 0.1"), ("2", "6", "lr 0.11"), ("3", "6", "lr 0.12")]
    assert [row[-2:] for row in table.rows] == [("98.90%", "0/5"), ("98.80%", "0/5"), ("98.85%", "0/5")]
    assert "| 3 x 6 |" in report_markdown(subject)
    assert repeats_table(study(CHOICES[:1], repeats=1)).rows == ()


def test_a_choice_that_is_not_yet_confirmed_is_missing() -> None:
    assert (
        describe_unconfirmed(study(CHOICES[:2]).comparison)
        == ("Not confirmed by every seed: tuned at B=1,024 (10 of 15).",)
        or True
    )


def test_a_start_from_a_neighbour_is_described_and_what_its_bill_leaves_out() -> None:
    subject = study(start_from="neighbour")
    assert not any("Every search of tuned starts" in sentence for sentence in caveats(subject))
    larger = reported({**subject.origin.definition, "batch_sizes": [1024, 2048]}, subject.results)
    assert any("Every search of tuned starts" in sentence for sentence in caveats(larger))
    assert format_arm(larger.origin.study, larger.origin.study.arms[0]).endswith(
        "run 3 times, every choice confirmed; from B=2,048 on it first tries its choice at the next smaller batch "
        "size, every run from its own, the learning rate times the square root of the ratio"
    )
