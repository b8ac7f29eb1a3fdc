"""The language models of Step Law against a pilot's figures. Skipped without the table, which is not ours to ship.

The pilot read losses on a line also near the best, and fitted constants on a finer scale: hence the tolerances.
"""

from pathlib import Path

import pytest

from zerotune.tuner.analysis.learning_rate_answer import BANDS, GridsAnswer, GridsQuestion, answer_grids
from zerotune.tuner.analysis.learning_rate_grids import build_grids
from zerotune.tuner.commands.grids.layout import LAYOUTS, read_trainings
from zerotune.tuner.commands.grids.tables import band_table, group_tables, rules_table, verdict_cells
from zerotune.tuner.commands.grids.text import headline, sentences

ROOT = Path(__file__).parents[4]

MEDIANS = {
    "constant": (0.0025, 0.0049, 0.0068, 0.014, 0.035),
    "sqrt": (0.0024, 0.0066, 0.0110, 0.013, 0.021),
}
SHARES = {
    "constant": (0.98, 0.77, 0.58, 0.42, 0.06),
    "sqrt": (0.86, 0.58, 0.51, 0.45, 0.40),
    "power": (0.98, 0.83, 0.60, 0.53, 0.47),
    "surge": (0.98, 0.92, 0.84, 0.77, 0.60),
    "saturating-sqrt": (0.98, 0.92, 0.83, 0.73, 0.57),
    "saturating": (0.99, 0.93, 0.86, 0.81, 0.79),
}
"""The pilot's, for k = B/B0 to 2, 4, 8, 16 and above."""


@pytest.fixture(scope="module")
def answer(data_folder: Path) -> GridsAnswer:
    folder = data_folder / "steplaw"
    if not (folder / "dense.csv.gz").is_file():
        pytest.skip(f"no table of Step Law at {folder}: docs/language_models.md says where it is from")
    grids = build_grids(read_trainings(LAYOUTS["step_law"], folder))
    question = GridsQuestion(baseline_batch_size=64, batch_size=512, tolerance=0.01, device_flops=395.6e12)
    return answer_grids(grids, question)


@pytest.mark.parametrize("rule", MEDIANS)
def test_medians_are_the_pilots(answer: GridsAnswer, rule: str) -> None:
    medians = [answer.bands[rule, name].median for name, _ in BANDS[1:]]
    assert medians == pytest.approx(MEDIANS[rule], abs=0.0015)


@pytest.mark.parametrize("rule", SHARES)
def test_shares_within_a_hundredth_of_a_nat_are_the_pilots(answer: GridsAnswer, rule: str) -> None:
    """Above k = 16 there are 47 pairs, and the rules that are fitted do better than the pilot's."""
    found = [answer.bands[rule, name] for name, _ in BANDS[1:]]
    shares = [losses.within / len(losses) for losses in found]
    assert shares[:4] == pytest.approx(SHARES[rule][:4], abs=0.08)
    assert shares[4] >= SHARES[rule][4] - 0.03


def test_the_rules_that_know_the_noise_batch_keep_the_best_at_512(answer: GridsAnswer) -> None:
    within = {rule.form.name: answer.verdict(rule.form.name).losses.within for rule in answer.rules}
    assert (within["saturating"], within["surge"], within["sqrt"], within["constant"]) == (14, 14, 9, 5)
    kinds = {rule: answer.verdict(rule).kind for rule in ("saturating", "surge", "sqrt", "constant")}
    assert kinds == {"saturating": "yes", "surge": "yes", "sqrt": "not shown", "constant": "not shown"}
    assert "tune again at 512? No: the rule saturating stays within 0.01 nats" in headline(answer, LAYOUTS["step_law"])


def test_the_pages_show_what_the_table_gives(answer: GridsAnswer) -> None:
    page = (ROOT / "docs" / "language_models.md").read_text(encoding="utf-8")
    tables = [rules_table(answer, LAYOUTS["step_law"]), group_tables(answer)[0], band_table(answer)]
    rows = ["| " + " | ".join(row) + " |" for table in tables for row in table.rows]
    assert [row for row in rows if row not in page] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in ("saturating", "sqrt", "constant", "linear"):
        within, median, *_, verdict = verdict_cells(answer, rule, 512)
        assert f"| {rule} | {within} | {median} | {verdict} |" in readme


def test_the_page_says_what_the_sentences_say(answer: GridsAnswer) -> None:
    page = " ".join((ROOT / "docs" / "language_models.md").read_text(encoding="utf-8").split())
    said = " ".join(sentences(answer, LAYOUTS["step_law"]))
    for figures in (
        "43 to 1,357",
        "median 339",
        "0.0177 nats (median)",
        "0% to 54%",
        "450 sequences at 20",
        "tokens^0.65 (95% interval 0.56 to 0.74)",
        "76 to 91",
        "B^0.29 on average",
    ):
        assert figures in said, figures
        assert figures in page, figures


def test_the_exponent_of_the_best_learning_rate_is_the_pilots(answer: GridsAnswer) -> None:
    assert answer.mean_exponent is not None
    slopes = sorted(one.mean for one in answer.exponents.values())
    assert (answer.mean_exponent.mean, slopes[0], slopes[-1]) == pytest.approx((0.29, 0.12, 0.60), abs=0.01)
