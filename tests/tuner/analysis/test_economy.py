"""The choice of a search for score and cost, its front, and what is said about it."""

from dataclasses import replace

import pytest

from tests.outputs import read_csv
from tests.searched_study import SIZES, searched_facts, searched_results
from tests.synthetic_study import result
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.economy import Economy
from zerotune.tuner.analysis.selection import best_trial
from zerotune.tuner.reports.export import front_records
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.reports.tables.csv_files import write_csv
from zerotune.tuner.reports.tables.terminal import table_notes
from zerotune.tuner.trial import TrialResult, TrialStatus

THRIFT = Economy(currency="flops", margin=0.99)


def tried(index: int, score: float | None, flops: int, status: TrialStatus = "finished") -> TrialResult:
    found = result("thrifty", 1024, "search", index, validation=score, status=status, lr=0.01 * (index + 1))
    return replace(found, cost=replace(found.cost, flops=flops))


def chosen(*search: TrialResult, higher_is_better: bool = True) -> int:
    best = best_trial(search, higher_is_better=higher_is_better, economy=THRIFT)
    assert best is not None
    return best.trial.index


def test_the_cheapest_trial_that_keeps_the_margin_of_the_best_is_chosen() -> None:
    best, kept, lost = tried(0, 0.900, 90), tried(1, 0.892, 40), tried(2, 0.890, 10)
    assert chosen(best, kept, lost) == 1
    assert chosen(best, lost) == 0
    assert chosen(lost) == 2


def test_of_equally_cheap_trials_the_best_is_chosen_and_of_equals_the_earliest() -> None:
    assert chosen(tried(0, 0.895, 40), tried(1, 0.9, 40)) == 1
    assert chosen(tried(3, 0.9, 40), tried(1, 0.9, 40)) == 1


def test_where_lower_is_better_the_margin_lies_above_the_best() -> None:
    search = tried(0, 2.00, 90), tried(1, 2.02, 40), tried(2, 2.03, 10)
    assert chosen(*search, higher_is_better=False) == 1


def test_what_did_not_finish_is_neither_chosen_nor_the_best_that_others_are_held_against() -> None:
    early = tried(1, 0.99, 1, "pruned"), tried(2, 0.99, 1, "diverged"), tried(3, None, 1, "failed")
    assert chosen(tried(0, 0.5, 40), *early) == 0
    assert chosen(*early) == 2
    assert best_trial(early[2:], higher_is_better=True, economy=THRIFT) is None


RESULTS = searched_results()
COMPARISON = compare(searched_facts(), RESULTS)


def test_a_front_holds_finished_trials_alone_and_the_choice_among_them() -> None:
    assert [(front.arm, front.batch_size) for front in COMPARISON.search_fronts] == [
        ("thrifty", size) for size in SIZES
    ]
    for front in COMPARISON.search_fronts:
        by_name = {one.trial.name: one for one in RESULTS}
        assert {by_name[point.name].status for point in front.front} == {"finished"}
        assert front.chosen in front.front
        assert front.best == front.front[-1]
        assert front.chosen.cost < front.best.cost
        assert front.limit <= front.chosen.score < front.best.score
        assert not [point for point in front.front if point.cost < front.chosen.cost and point.score >= front.limit]


def test_the_notes_say_what_was_chosen_and_what_the_best_would_have_cost() -> None:
    front = COMPARISON.search_fronts[0]
    (note, _) = [text for text in table_notes(COMPARISON, cost="flops") if text.startswith("thrifty at B=")]
    assert note.startswith("thrifty at B=1,024 searched for accuracy and GFLOPs: ")
    assert f"{len(front.front)} of {front.num_finished} finished trials on the front" in note
    assert "the choice the cheapest within 0.5% of the best validation score" in note
    assert f"{front.chosen.cost / 1e9:.0f} GFLOPs. The best" in note
    alone = compare(searched_facts(), [one for one in RESULTS if one.trial.name in (front.best.name, "x")])
    (note, *_) = [text for text in table_notes(alone, cost="flops") if text.startswith("thrifty at B=")]
    assert "1 of 1 finished trial on the front" in note
    assert "the best itself" in note


def test_the_figure_has_every_trial_once_the_front_and_the_choice() -> None:
    figure = draw_figure("search_front", COMPARISON, RESULTS, "trials")
    front = COMPARISON.search_fronts[0]
    first = [trace for trace in figure.data if trace.xaxis == "x" and trace.x[0] is not None]
    marked = [trace for trace in first if trace.mode == "markers" and trace.marker.symbol != "circle-open"]
    assert sum(len(trace.x) for trace in marked) == 30
    (ring,) = [trace for trace in first if trace.marker.symbol == "circle-open"]
    assert (ring.x[0], ring.y[0]) == (front.chosen.cost / 1e9, front.chosen.score)
    steps, margin = [trace for trace in first if trace.mode == "lines"]
    assert list(steps.y) == [*(point.score for point in front.front), front.best.score]
    assert list(margin.y) == [front.limit] * 2
    assert {"diverged", "pruned", "failed"} <= {trace.name for trace in figure.data}
    assert "within 0.5% of the best score, costs against the best: " in figure.layout.title.text.replace("<br>", " ")


def test_the_front_of_the_search_is_exported_in_the_cost_that_it_lowers(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = read_csv(write_csv(tmp_path / "fronts.csv", front_records(COMPARISON, RESULTS, "epochs")))
    own = [row for row in rows if row["over"] == "search of thrifty" and row["batch_size"] == "1024"]
    assert [float(row["cost"]) for row in own] == [point.cost for point in COMPARISON.search_fronts[0].front]
    assert {row["currency"] for row in own} == {"flops"}


@pytest.mark.parametrize("name", ["slices", "contours"])
def test_the_choice_by_score_and_cost_is_ringed_in_the_figures_of_searches(name: str) -> None:
    figure = draw_figure(name, COMPARISON, RESULTS, "trials")
    texts = " ".join(str(trace.hovertext) for trace in figure.data if trace.type == "scatter")
    front = COMPARISON.search_fronts[0]
    rings = [
        trace.hovertext[0]
        for trace in figure.data
        if trace.type == "scatter" and trace.marker.symbol == "circle-open" and trace.hovertext and len(trace.x) == 1
    ]
    assert front.best.name in texts
    assert any(front.chosen.name in text for text in rings)
    assert not any(front.best.name in text for text in rings)
