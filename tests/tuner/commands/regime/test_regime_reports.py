"""A regime as sentences, a table, a figure and files: they state what was found, and the bill adds up."""

import json
from pathlib import Path

import pytest

from tests.outputs import printed, read_csv
from tests.regime_responses import LIMITS, holding_up_to, not_monotone, search
from zerotune.tuner.commands.regime.export import regime_as_json, regime_page, write_regime
from zerotune.tuner.commands.regime.figure import regime_bands, regime_figure
from zerotune.tuner.commands.regime.text import headline, notes, print_regime, sentences, table_headings, table_rows
from zerotune.tuner.commands.regime.verdict import Regime
from zerotune.tuner.reports.figures.images import write_images
from zerotune.tuner.trial import Trial, TrialStatus


def found(
    limits: dict[str, int] | None = None,
    *,
    span: tuple[int | None, int | None] = (None, None),
    budget: int | None = None,
) -> Regime:
    return search(holding_up_to(LIMITS if limits is None else limits), span=span, max_trainings=budget).found()


def test_the_boundaries_are_said_with_what_they_rest_on() -> None:
    regime = found()
    assert headline(regime) == "Large from 256, huge above 1,024, full at 3,000"
    assert sentences(regime) == (
        "Large (B_L): from 256; linear scaling holds at 128 and fails at 256 (83.35% of the baseline's accuracy, 99.5% "
        "needed). The 95% intervals over 2 seeds confirm this.",
        "Huge (B_H): above 1,024; tuned holds at 1,024, none of 3 methods at 2,048 (nearest: linear, 83.35% of the "
        "baseline's accuracy, 99.5% needed). The 95% intervals over 2 seeds confirm this.",
        "Full batch (B_F): 3,000, the number of training samples.",
    )


@pytest.mark.parametrize(
    ("limits", "span", "said", "large", "huge"),
    [
        (
            {"linear": 3000},
            (None, None),
            "Not large up to 3,000, not huge up to 3,000, full at 3,000",
            "above 3,000 at least; linear scaling holds there, the largest tried.",
            "above 3,000 at least; linear holds there, the full batch.",
        ),
        (
            LIMITS,
            (None, 512),
            "Large from 256, not huge up to 512, full at 3,000",
            "from 256; linear scaling holds at 128 and fails at 256",
            "above 512 at least; sqrt holds there, the largest tried.",
        ),
        (
            dict.fromkeys(LIMITS, 32),
            (None, None),
            "Large from 64, huge above 32, full at 3,000",
            "from 64; linear scaling fails at 64 already, the smallest tried",
            "above 32; none of 3 methods holds at 64, the smallest tried",
        ),
        (
            dict.fromkeys(LIMITS, 32),
            (256, None),
            "Large from somewhere above 32, at most 256, huge above somewhere from 32 to below 256, full at 3,000",
            "from somewhere above 32, at most 256; linear scaling fails at 256 already, the smallest tried",
            "above somewhere from 32 to below 256; none of 3 methods holds at 256, the smallest tried",
        ),
    ],
)
def test_a_boundary_at_the_ranges_end_is_said_as_a_bound(
    limits: dict[str, int], span: tuple[int | None, int | None], said: str, large: str, huge: str
) -> None:
    regime = found(limits, span=span)
    assert headline(regime) == said
    assert large in sentences(regime)[0]
    assert huge in sentences(regime)[1]


def test_a_search_that_its_budget_ended_says_what_is_open() -> None:
    regime = found(budget=4)
    assert headline(regime) == ("Large from somewhere above 32, at most 512, huge not found, full at 3,000")
    assert "not found, for the search ended" in sentences(regime)[1]
    assert notes(regime)[-1].startswith("The budget of trainings ended the search")


def test_the_loss_that_ended_linear_scaling_is_said() -> None:
    regime = search(holding_up_to({}, loss_limit=128)).found()
    assert "fails at 256 (2 times its validation loss, 1.2 allowed)" in sentences(regime)[0]
    assert ("256", "linear", "score only") in {(row[0], row[1], row[5]) for row in table_rows(regime)}


def test_means_that_no_interval_shows_are_called_means() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        if trial.arm == "baseline":
            return 0.96, 0.1, "finished"
        spread = 0.02 * (trial.config.seed - 1.5)
        return (0.97 if trial.batch_size <= 128 else 0.94) + spread, 0.1, "finished"

    regime = search(response).found()
    assert "The means over 2 seeds decide; their 95% intervals confirm none of it." in sentences(regime)[0]
    assert {row[5] for row in table_rows(regime)} == {"baseline", "holds ?", "fails ?"}


def test_a_response_that_is_not_monotone_is_said() -> None:
    regime = search(not_monotone).found()
    said = [note for note in notes(regime) if note.startswith("Not monotone")]
    assert said[0].startswith("Not monotone: linear scaling fails at 512, 2,048, but holds again at 1,024, 3,000.")
    assert said[1].startswith("Not monotone: all methods fail at 2,048, but one holds again at 3,000.")
    assert not any("contradicts" in note for note in notes(regime))


def test_runs_that_were_lost_are_said() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        lost = trial.batch_size == 3000 and trial.config.seed == 2
        return 0.96, 0.1, "failed" if lost else "diverged" if trial.config.seed == 2 else "finished"

    regime = search(response).found()
    assert "baseline at B=32: of 2 confirmation runs 1 diverged and 0 failed." in notes(regime)
    assert any("of 2 confirmation runs 0 diverged and 1 failed (out of memory)." in note for note in notes(regime))


def test_the_tables_trials_add_up_to_the_bill() -> None:
    regime = found(span=(64, 512))
    rows = table_rows(regime)
    assert sum(int(row[6]) for row in rows) == regime.total.trials
    assert {len(row) for row in rows} == {len(table_headings(regime))}
    assert f"Spent: {regime.total.trials} trainings" in " ".join(notes(regime))


@pytest.mark.parametrize("width", [80, 110])
def test_the_table_fits_a_terminal(width: int) -> None:
    lines = printed(print_regime, found(), width=width).splitlines()
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if "linear" in line and "%" in line and not line.startswith(("•", "accuracy"))]
    assert [row.split()[-1] for row in rows if "±" in row] == ["4"] * 6  # device-seconds of two trainings, not wrapped
    assert lines[0] == "example, lenet_mnist: Large from 256, huge above 1,024, full at 3,000"


def test_the_figure_shades_the_regimes_between_what_holds_and_what_fails() -> None:
    large, huge, full = (128 * 256) ** 0.5, (1024 * 2048) ** 0.5, 3000
    bands = regime_bands(found())
    assert list(bands) == ["small", "large", "huge", "full"]
    assert bands["large"] == pytest.approx((large, huge))
    assert bands["huge"] == pytest.approx((huge, full / 1.05))
    assert bands["full"] == pytest.approx((full / 1.05, full * 1.05))
    figure = regime_figure(found())
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [bands[n] for n in ("large", "huge", "full")]
    middles = {note.text: 10**note.x for note in figure.layout.annotations}
    assert middles.keys() == bands.keys()
    assert all(bands[name][0] < middle < bands[name][1] for name, middle in middles.items())
    assert figure.layout.title.text.startswith("<b>Large from 256, huge above 1,024, full at 3,000</b>")


def test_the_figure_draws_every_attempt_filled_where_it_holds() -> None:
    regime = found()
    figure = regime_figure(regime)
    for arm in regime.question.arms:
        trace = next(trace for trace in figure.data if trace.name == arm)
        attempts = [attempt for attempt in regime.attempts if attempt.arm == arm]
        assert [round(x / a.batch_size, 1) for x, a in zip(trace.x, attempts, strict=True)] == [1.0] * len(attempts)
        assert [symbol.endswith("-open") for symbol in trace.marker.symbol] == [not a.keeps_both for a in attempts]
        shown = [None if y is None else pytest.approx(y) for y in trace.y]
        off = [a.score.mean < figure.layout.yaxis.range[0] for a in attempts if a.score]
        assert shown == [None if hidden else a.score.mean for a, hidden in zip(attempts, off, strict=True) if a.score]


@pytest.mark.parametrize(
    ("limits", "span", "bands"),
    [
        ({"linear": 3000}, (None, None), ["small", "full"]),
        (LIMITS, (None, 512), ["small", "large", "full"]),
        (dict.fromkeys(LIMITS, 128), (None, None), ["small", "huge", "full"]),
    ],
)
def test_a_regime_that_was_not_met_is_not_shaded(
    limits: dict[str, int], span: tuple[int | None, int | None], bands: list[str]
) -> None:
    assert list(regime_bands(found(limits, span=span))) == bands


def test_the_files_hold_the_attempts_and_the_sentences(tmp_path: Path, without_images: list[str]) -> None:
    regime = found()
    files = write_regime(regime, tmp_path / "report")
    assert [file.name for file in files] == ["regime.html", "regime.csv", "regime.json"]
    content = json.loads(files[2].read_text(encoding="utf-8"))
    named = {"schema": "zerotune.regime", "schema_version": 1}
    assert content == {**named, **json.loads(json.dumps(regime_as_json(regime)))}
    assert content["sentences"] == list(sentences(regime))
    assert (content["large"]["fails"], content["huge"]["holds"], content["full"]) == (256, 1024, 3000)
    assert without_images == ["regime.png", "regime.svg"]
    assert [(int(row["batch_size"]), row["arm"]) for row in read_csv(files[1])] == [
        (attempt.batch_size, attempt.arm) for attempt in (regime.baseline, *regime.attempts)
    ]
    page = regime_page(regime)
    assert "Large from 256, huge above 1,024, full at 3,000" in page
    assert "<script src" not in page


def test_a_loss_that_is_not_finite_is_no_number_in_the_files() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        return (0.1, 0.1, "diverged") if trial.batch_size > 128 else (0.96, 0.1, "finished")

    regime = search(response).found()
    records = regime_as_json(regime)["attempts"]
    assert {r["loss_ratio"] for r in records if r["batch_size"] > 128} == {None}
    json.dumps(regime_as_json(regime), allow_nan=False)
    assert "its loss is not finite, 1.2 allowed" in sentences(regime)[0]


def test_the_figure_becomes_a_picture(tmp_path: Path) -> None:
    files, notice = write_images({"regime": regime_figure(found())}, tmp_path, formats=("png",))
    if notice:
        pytest.skip(notice)
    assert files[0].read_bytes().startswith(b"\x89PNG")
