"""The data behind the figures of searches: best of k, slices, parallel coordinates and surfaces."""

from dataclasses import replace

import pytest

from tests.complete_study import complete_facts, complete_results
from tests.synthetic_study import CHANCE, facts, result, traces
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.reports.figures.hyperparameters import param_axis
from zerotune.tuner.reports.figures.registry import applicable_figures, draw_figure
from zerotune.tuner.reports.figures.surface import surfaces
from zerotune.tuner.study.search_space import Choice, Float

ONE_SIZE = {"arms": ("tuned", "date", "sqrt"), "zero_tuning_arms": ("date", "sqrt"), "batch_sizes": (1024,)}


def searched(scores, params=None, arm="tuned", **changes):
    """Return search trials with these scores; None means diverged."""
    trials = []
    for index, score in enumerate(scores):
        status = "diverged" if score is None else "finished"
        found = result(arm, 1024, "search", index, validation=CHANCE if score is None else score, status=status)
        given = {"lr": 0.1} if params is None else params[index]
        trials.append(replace(found, trial=replace(found.trial, params=given), **changes))
    return trials


def confirmed(arm, score):
    return result(arm, 1024, "confirmation", 0, validation=score, test=score)


def drawn(name, study, results):
    return draw_figure(name, compare(study, results), results, "trials")


def title(figure):
    return figure.layout.title.text.replace("<br>", " ")


# Best of k


def small_study():
    results = searched([0.90, 0.94, 0.92])
    return [*results, confirmed("tuned", 0.94), confirmed("date", 0.93), confirmed("sqrt", 0.95)]


def test_the_best_of_k_curve_is_the_expected_maximum_of_k_trials():
    figure = drawn("best_of_k", facts(**ONE_SIZE), small_study())
    full, pale = traces(figure, "tuned (search)")
    assert list(full.x) == [1]
    assert list(pale.x) == [1, 2, 3]
    assert list(pale.y) == pytest.approx([2.76 / 3, (0.94 + 0.94 + 0.92) / 3, 0.94])
    assert full.opacity > pale.opacity


def test_a_star_stands_where_the_reference_reaches_an_arm_and_the_title_says_where_it_does_not():
    figure = drawn("best_of_k", facts(**ONE_SIZE), small_study())
    stars = [trace for trace in figure.data if trace.marker.symbol == "star" and trace.legendgroup]
    assert [(trace.legendgroup, trace.x[0], trace.y[0]) for trace in stars] == [("date", 2, 0.93)]
    assert "date: 2; sqrt: more than 3 (at B=1,024)" in title(figure)
    assert [list(trace.y) for trace in traces(figure, "sqrt")] == [[0.95, 0.95]]


def test_the_curve_is_drawn_in_full_up_to_a_fifth_of_the_trials():
    figure = drawn("best_of_k", facts(**ONE_SIZE), searched([0.9 + 0.001 * i for i in range(12)]))
    assert [list(trace.x) for trace in traces(figure, "tuned (search)")] == [[1, 2], list(range(2, 13))]


def test_of_a_search_that_learns_the_curve_is_its_best_so_far_and_says_that_it_was_run_once():
    study = facts(**ONE_SIZE, learned_arms=("tuned",))
    results = [*searched([0.90, 0.94, 0.92]), confirmed("tuned", 0.94), confirmed("date", 0.93)]
    figure = drawn("best_of_k", study, results)
    (curve,) = traces(figure, "tuned (learns: best so far)")
    assert (list(curve.x), list(curve.y), curve.line.dash) == ([1, 2, 3], [0.90, 0.94, 0.94], "dash")
    assert "tuned needs, in the one search that was run, to match date: 2" in title(figure)


def test_repeats_of_a_search_that_learns_are_averaged():
    study = facts(**ONE_SIZE, learned_arms=("tuned",))
    repeats = searched([0.80, 0.96, 0.90])
    repeats = [
        replace(one, trial=replace(one.trial, role="repeat", config=replace(one.trial.config, seed=9)))
        for one in repeats
    ]
    once = [
        replace(one, trial=replace(one.trial, config=replace(one.trial.config, seed=0)))
        for one in searched([0.90, 0.94, 0.92])
    ]
    figure = drawn("best_of_k", study, [*once, *repeats, confirmed("tuned", 0.94), confirmed("date", 0.93)])
    (curve,) = traces(figure, "tuned (learns: best so far)")
    assert list(curve.y) == pytest.approx([0.85, 0.95, 0.95])
    assert "tuned needs on average to match date: 2" in title(figure)


def test_a_single_search_trial_has_no_curve():
    for figure in ("best_of_k", "slices", "parallel_coordinates"):
        for scores, there in (([0.9], False), ([0.9, 0.91], True)):
            results = searched(scores)
            assert (figure in applicable_figures(compare(facts(**ONE_SIZE), results), results)) is there


# Slices and parallel coordinates

MIXED = {
    "lr": Float(low=0.01, high=1.0, scale="log"),
    "momentum": Float(low=0.8, high=1.0),
    "decay": Choice(choices=("constant", "poly")),
}
TRIED = [
    {"decay": "poly", "lr": 0.1, "momentum": 0.9},
    {"decay": "constant", "lr": 0.01, "momentum": 0.85},
    {"decay": "poly", "lr": 0.98, "momentum": 0.8},
]


def mixed_study():
    return facts(**ONE_SIZE, spaces={"tuned": MIXED}), searched([0.94, 0.92, None], TRIED)


def test_a_slice_holds_the_scores_at_their_values_and_the_ends_of_the_range():
    study, results = mixed_study()
    figure = drawn("slices", study, results)
    lr, decay, momentum = traces(figure, "tuned")
    assert list(lr.x) == pytest.approx([0.5, 0.0])
    assert list(momentum.x) == pytest.approx([0.5, 0.25])
    assert list(decay.x) == [0.75, 0.25]
    assert list(lr.y) == [0.94, 0.92]
    assert [axis.title.text for axis in figure.select_xaxes()] == ["lr", "decay", "momentum"]
    ends = [list(trace.x) for trace in figure.data if trace.line.dash == "solid"]
    assert ends == [[0.0, 0.0, None, 1.0, 1.0, None]] * 2


def test_a_slice_marks_the_chosen_value_and_the_diverged_trials():
    study, results = mixed_study()
    figure = drawn("slices", study, results)
    rings = [(trace.x[0], trace.y[0]) for trace in figure.data if trace.marker.symbol == "circle-open"]
    assert rings == [(pytest.approx(0.5), 0.94), (0.75, 0.94), (pytest.approx(0.5), 0.94)]
    dotted = [trace.x[0] for trace in figure.data if trace.line.dash == "dot"]
    assert dotted == pytest.approx([0.5, 0.75, 0.5])
    fallen = [trace.x[0] for trace in figure.data if trace.marker.symbol == "triangle-down"]
    assert fallen == pytest.approx([0.995613, 0.75, 0.0], abs=1e-6)


def test_a_choice_on_the_edge_is_the_title_of_the_slices():
    study, results = mixed_study()
    assert "No chosen value lies on the edge" in title(drawn("slices", study, results))
    results = searched([0.94, 0.92, 0.95], TRIED)
    assert "may lie outside: tuned's lr at B=1,024, tuned's momentum at B=1,024" in title(
        drawn("slices", study, results)
    )


def test_a_baseline_on_the_edge_of_its_range_is_in_the_title_of_the_slices():
    study, results = mixed_study()
    study = replace(study, spaces={**study.spaces, "baseline": {"lr": Float(low=0.01, high=0.1, scale="log")}})
    results = [*results, result("baseline", study.baseline_batch_size, "baseline", 0, validation=0.9, lr=0.1)]
    assert "may lie outside: baseline's lr at B=256" in title(drawn("slices", study, results))


def test_of_two_values_none_is_said_to_lie_within():
    study = facts(**ONE_SIZE, spaces={"tuned": {"lr": Choice(choices=(0.1, 0.2))}})
    said = title(drawn("slices", study, searched([0.94, 0.92], [{"lr": 0.1}, {"lr": 0.2}])))
    assert "Nothing was searched over a range, so a better value may lie outside what was tried" in said


def test_trials_without_a_final_score_have_no_line_and_are_marks_at_the_edge_of_slices():
    kept = searched([0.94, 0.92], TRIED)
    pruned = replace(kept[1], status="pruned", validation_score=0.99)
    failed = replace(searched([0.9] * 3, TRIED)[2], status="failed", validation_score=None)
    without, study = drawn("parallel_coordinates", facts(**ONE_SIZE), kept), facts(**ONE_SIZE)
    assert drawn("parallel_coordinates", study, [*kept, pruned, failed]).to_plotly_json() == without.to_plotly_json()
    figure = drawn("slices", study, [*kept, pruned, failed])
    edge = figure.layout.yaxis.range[0] + 0.03 * (figure.layout.yaxis.range[1] - figure.layout.yaxis.range[0])
    for symbol, lr in (("line-ns-open", 0.01), ("cross-thin-open", 0.98)):
        (marks, *_) = [trace for trace in figure.data if trace.marker.symbol == symbol and trace.x[0] is not None]
        axis = param_axis("lr", [0.1, 0.01], [])
        assert (list(marks.x), list(marks.y)) == ([pytest.approx(axis.place(lr))], [pytest.approx(edge)])
    assert {"pruned", "failed"} <= {trace.name for trace in figure.data}
    assert "0.98" not in drawn("slices", study, kept).to_json()


def test_the_ring_of_a_slice_is_around_the_choice_of_the_whole_search():
    """A choice that lacks the hyperparameter has no ring there, and what a rule proposed is no slice."""
    tried = [{"lr": 0.1, "momentum": 0.9}, {"lr": 0.2}, {"lr": 0.3, "momentum": 0.8, "rule": "date"}]
    figure = drawn("slices", facts(**ONE_SIZE), searched([0.92, 0.94, 0.93], tried))
    assert [axis.title.text for axis in figure.select_xaxes()] == ["lr", "momentum"]
    rings = [trace.y[0] for trace in figure.data if trace.marker.symbol == "circle-open"]
    assert rings == [0.94]


def test_a_line_runs_through_a_trials_values_to_its_score_and_the_best_lies_on_top():
    study, results = mixed_study()
    figure = drawn("parallel_coordinates", study, results)
    lines = [trace for trace in figure.data if trace.hoverinfo == "text"]
    low, high = figure.layout.yaxis.range
    best = [(y - low) / (high - low) for y in lines[2].y]
    assert best[:3] == pytest.approx([0.05 + 0.9 * fraction for fraction in (0.5, 0.75, 0.5)])
    assert [line.y[3] for line in lines[1:]] == [0.92, 0.94]
    assert lines[0].marker.symbol[3] == "triangle-down"
    assert [line.line.width for line in lines] == [1.5, 1.5, 4]
    assert list(figure.layout.xaxis.ticktext) == ["lr", "decay", "momentum", "accuracy"]


def test_lines_of_several_batch_sizes_start_at_theirs_and_the_reference_comes_first():
    study = facts(reference="date", arms=("tuned", "date"), zero_tuning_arms=(), batch_sizes=(1024, 2048))
    results = [*searched([0.9, 0.91]), *searched([0.9, 0.91], arm="date")]
    figure = drawn("parallel_coordinates", study, results)
    assert [axis.ticktext[0] for axis in figure.select_xaxes()] == ["batch size"] * 2
    assert [note.text for note in figure.layout.annotations][:2] == ["date", "tuned"]


def test_names_and_values_of_hyperparameters_never_become_markup():
    hostile = "<a href=x>"
    results = searched([0.9, 0.91], [{hostile: hostile}, {hostile: "poly"}])
    for name in ("slices", "parallel_coordinates"):
        text = drawn(name, facts(**ONE_SIZE), results).to_json()
        assert "\\u003ca href" not in text
        assert "<a href" not in text
        assert "&lt;a href" in text


# Surfaces


def test_a_grid_over_two_numbers_is_a_surface():
    study, results = complete_facts(), complete_results()
    one = surfaces(study, results)["tuned", 1024]
    assert (one.across, one.upwards) == ("lr", "warmup_epochs")
    assert (one.columns, one.rows) == ((0.01, 0.02, 0.04, 0.08), (0.0, 2.0, 4.0))
    # The grid's last hyperparameter varies fastest: index 7 is the third learning rate with the second warm-up.
    assert [[trial.trial.index for trial in row] for row in one.trials] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]


def test_diverged_and_failed_cells_are_grey_and_have_no_colour():
    figure = drawn("surface", complete_facts(), complete_results())
    scores, lost = figure.data[:2]
    assert [[value is None for value in row] for row in scores.z] == [[False] * 3 + [True]] * 3
    assert [list(row) for row in lost.text] == [["", "", "", "failed"], ["", "", "", "×"], ["", "", "", "×"]]
    assert figure.layout.coloraxis.cmin > 0.9
    assert len(figure.layout.shapes) == 3


def test_the_surface_says_how_wide_the_good_region_is():
    params = [{"lr": lr, "warmup_epochs": warmup} for lr in (0.1, 0.2) for warmup in (0, 1)]
    results = searched([0.940, 0.936, 0.90, None], params)
    figure = drawn("surface", facts(**ONE_SIZE), results)
    assert "Within 0.5% of the best grid point: 2 of 4 with tuned at B=1,024 (1 diverged)" in title(figure)


@pytest.mark.parametrize(
    "params",
    [
        [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}, {"lr": 0.4}],
        [{"lr": 0.1 * i, "warmup_epochs": 0.3 * i} for i in range(1, 5)],
        [{"lr": lr, "decay": decay} for lr in (0.1, 0.2) for decay in ("constant", "poly")],
        [{"lr": lr, "momentum": m, "warmup_epochs": 1} for lr in (0.1, 0.2) for m in (0.8, 0.9)],
        [{"lr": lr, "nesterov": n} for lr in (0.1, 0.2) for n in (False, True)],
    ],
    ids=["one hyperparameter", "random points", "a category", "three hyperparameters", "a flag"],
)
def test_what_is_no_grid_over_two_numbers_is_no_surface(params):
    results = searched([0.9, 0.91, 0.92, 0.93], params)
    assert "surface" not in applicable_figures(compare(facts(**ONE_SIZE), results), results)


# Axes


def test_an_axis_is_logarithmic_where_the_range_is_or_where_positive_values_span_twenty_fold():
    assert param_axis("lr", [0.1], [Float(low=0.05, high=0.2, scale="log")]).logarithmic
    assert not param_axis("lr", [0.1], [Float(low=0.05, high=0.2)]).logarithmic
    assert param_axis("lr", [0.1, 2.1], []).logarithmic
    assert not param_axis("lr", [0.1, 2.0], []).logarithmic
    assert not param_axis("warmup_epochs", [0.0, 100.0], []).logarithmic


def test_an_axis_of_one_value_has_it_in_the_middle():
    for value in (0.1, 0, -2):
        assert param_axis("lr", [value], []).place(value) == pytest.approx(0.5)


def test_values_that_are_not_all_numbers_are_categories_in_the_order_of_the_range():
    axis = param_axis("beta", ["none", 0.9], [Choice(choices=(0.9, "none"))])
    assert axis.categories == ("0.9", "none")
    assert [axis.place(0.9), axis.place("none")] == [0.25, 0.75]
    assert param_axis("nesterov", [True, False], []).categories == ("True", "False")


@pytest.mark.parametrize(
    "ends", [(0.0, 4.0), (0.8, 0.95), (0.01, 1.0), (1e-5, 1e-1), (0.04, 0.07), (3.0, 900.0), (-1, 1)]
)
def test_an_axis_has_a_few_marks_within_its_ends(ends):
    for scale in ("linear", "log") if ends[0] > 0 else ("linear",):
        places, texts = param_axis("x", ends, [Float(low=ends[0], high=ends[1], scale=scale)]).ticks()
        assert 2 <= len(texts) <= 7
        assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
        assert len(set(texts)) == len(texts)
