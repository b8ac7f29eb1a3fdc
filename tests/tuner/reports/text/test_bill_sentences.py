"""The bill in sentences and tables: only what is stated or measured, and whose search is not in it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.outputs import printed, read_csv
from tests.reported_study import definition, reported
from tests.synthetic_study import facts, study_results
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.commands.prices import at_prices
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.export import export
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.reports.notebook import answer_html
from zerotune.tuner.reports.tables.markup import report_json, report_latex, report_markdown
from zerotune.tuner.reports.tables.terminal import print_answer
from zerotune.tuner.reports.tables.worth import worth_table
from zerotune.tuner.reports.text.caveats import caveats
from zerotune.tuner.reports.text.savings import describe_saving
from zerotune.tuner.reports.text.searched_constants import LIMITS_SEARCH, searched_constants
from zerotune.tuner.reports.text.verdict import first_lines
from zerotune.tuner.study import load_study

PRICES = "device_hour=2.5,currency=EUR,watts=300,gco2_per_kwh=400"


@pytest.fixture(scope="module")
def priced() -> Answer:
    return at_prices(reported(), PRICES)


def test_the_saving_says_money_energy_and_co2_where_prices_are_stated(priced: Answer) -> None:
    line = first_lines(priced.comparison, cost="device_seconds")[2]
    tuned, date = (priced.comparison.row(arm, 4096).bill for arm in ("tuned", "date"))
    hours = (tuned["device_seconds"] - date["device_seconds"]) / 3600
    assert (
        f"76.9 device-seconds, {hours:.3g} device-hours ({2.5 * hours:.3g} EUR), {0.3 * hours:.3g} kWh (estimated at "
        f"300 W a device) and {120 * hours:.3g} g of CO2 (at 400 g a kWh)"
    ) in line


def test_arms_that_take_different_numbers_of_trainings_get_a_range() -> None:
    """As a rule and its guarded form do, which a sentence names together."""
    comparison = reported().comparison
    row = comparison.row("date", 4096)
    assert row.bill is not None
    cheap, guarded, dear = (
        replace(row, bill={**row.bill, "trials": number}, baseline_bill={**row.baseline_bill, "trials": 10 * number})
        for number in (1.0, 3.0, 100.0)
    )
    text = describe_saving(comparison, [cheap, guarded], "flops")
    assert text.startswith("It takes 1 to 3 trainings instead of the ")
    assert "took 10 to 30 trainings" in text
    dearer = describe_saving(comparison, [cheap, dear], "flops")
    assert dearer.startswith("It takes 1 to 100 trainings, where tuned takes ")


def test_nothing_is_said_of_what_is_neither_stated_nor_measured() -> None:
    plain = reported()
    text = " ".join(first_lines(plain.comparison, cost="device_seconds"))
    assert not [word for word in ("device-hours", "kWh", "CO2", "EUR") if word in text]
    assert worth_table(plain).rows == ()
    only_price = at_prices(plain, "device_hour=2,currency=USD")
    assert "USD" in first_lines(only_price.comparison, cost="flops")[0]
    assert "kWh" not in worth_table(only_price).columns


def test_the_table_of_worth_names_usable_models_and_ends_with_all_that_was_spent(priced: Answer) -> None:
    table = worth_table(priced)
    assert table.columns[2:] == (
        "device-hours",
        "EUR",
        "kWh",
        "energy",
        "g of CO2",
        "J (modelled)",
        "EUR per usable model",
    )
    rows = {row[:2]: row for row in table.rows}
    assert rows["4,096", "linear"][-1] == "none usable"
    sqrt = priced.comparison.row("sqrt", 4096).bill["device_seconds"] / 3600 * 2.5
    assert (rows["4,096", "sqrt"][3], rows["4,096", "sqrt"][-1]) == (f"{sqrt:.3g}", f"{1.5 * sqrt:.3g}")
    total = priced.comparison.ledger.total.device_seconds / 3600 * 2.5
    assert table.rows[-1][1:4:2] == ("all that the study spent", f"{total:.3g}")


def test_files_hold_prices_usable_models_and_every_budget(priced: Answer, tmp_path: Path) -> None:
    export(priced, tmp_path, pictures=False)
    rows = {(row["arm"], row["batch_size"]): row for row in read_csv(tmp_path / "comparison.csv")}
    sqrt = rows["sqrt", "4096"]
    assert float(sqrt["cost_per_usable_model.trials"]) == 1.5
    assert rows["linear", "4096"]["cost_per_usable_model.trials"] == ""
    assert float(sqrt["money"]) == pytest.approx(2.5 * float(sqrt["cost_to_a_model.device_seconds"]) / 3600)
    assert (sqrt["currency"], sqrt["energy_source"], sqrt["spared.money"]) == ("EUR", "estimated", "")
    assert (rows["sqrt", "1024"]["trials_to_match"], rows["sqrt", "1024"]["trials_to_match_luck_included"]) == (
        "7",
        "6",
    )
    budgets = [row for row in read_csv(tmp_path / "budgets.csv") if (row["arm"], row["batch_size"]) == ("date", "4096")]
    assert [int(row["trials"]) for row in budgets] == list(range(1, 12))
    assert float(budgets[-1]["saved.flops"]) == pytest.approx(float(rows["date", "4096"]["saved.flops"]))
    assert float(budgets[-1]["cost.money"]) == pytest.approx(float(rows["tuned", "4096"]["money"]))
    worths = json.loads(report_json(priced))["worth"]
    assert next(w for w in worths if (w["arm"], w["batch_size"]) == ("sqrt", 4096))["money"] == float(sqrt["money"])


def test_the_figure_over_budgets_says_what_a_trial_costs_and_where_k_star_lies(priced: Answer) -> None:
    figure = draw_figure("tuning_budget", priced.comparison, priced.results, "flops")
    assert "EUR a trial" in figure.layout.annotations[0].text
    stars = {(t.legendgroup, t.x[0]) for t in figure.data if t.marker.symbol == "star" and t.x[0] is not None}
    assert stars == {("sqrt", 7), ("legw", 5), ("date", 8)}
    line = [trace for trace in figure.data if trace.name == "date"][-1]
    assert list(line.y) == sorted(line.y)
    assert all(math.isfinite(y) for y in line.y)


def test_the_terminal_says_what_a_usable_model_costs_and_how_much_luck_there_was() -> None:
    text = " ".join(printed(print_answer, compare(facts(), study_results()), width=10_000).split())
    assert "costs the bill over the share of those that are not (device-seconds): sqrt at B=4,096 9.91." in text
    assert "Most of the luck of the best is taken out: seeds of one configuration differ by 0.06 to 0.09 points" in text
    learned = printed(print_answer, compare(facts(learned_arms=("tuned",)), study_results()), width=10_000)
    assert "and the luck of the best is left in." in learned


def test_the_search_for_default_limits_is_a_caveat_with_its_bill_in_every_answer() -> None:
    subject = reported()
    (limits, published) = searched_constants(subject)
    assert limits == (
        "The limits 0.01 and 100 of the layer-wise ratio in date are defaults of zerotune, chosen in 216 trainings of "
        "small models (studies date_limits_lenet 131, date_limits_lstm 53 and date_limits_lenet_upper 32). None of "
        "them is billed here."
    )
    assert published.startswith("The configurations of defaults are published ones")
    assert limits in caveats(subject)
    for text in (report_markdown(subject), report_latex(subject), report_json(subject), answer_html(subject)):
        assert "chosen in 216 trainings" in text


def test_limits_of_the_studys_own_and_other_constants_are_told_apart() -> None:
    stored = definition()
    arms = {arm["name"]: arm for arm in stored["arms"]}
    arms["date"]["optimizer"]["ratio_high"] = 10
    arms["linear"]["method"] = "linear-warmup"
    arms["sqrt"]["optimizer"] = {"name": "layerwise-adam", "bounds": "none"}
    default, own, warmup, _ = searched_constants(reported(stored))
    assert default.startswith("The limit 0.01 of the layer-wise ratio in date is a default of zerotune")
    assert own.startswith("The study states limits of its own of the layer-wise ratio in date.")
    assert warmup.startswith("The 5 epochs of warm-up in linear are those of Goyal et al.")


def test_the_studies_that_chose_the_limits_bill_them() -> None:
    stored = definition(name="date_limits_lenet")
    assert not [sentence for sentence in searched_constants(reported(stored)) if "layer-wise" in sentence]


def test_limits_that_the_study_searches_are_billed_and_no_caveat() -> None:
    stored = definition()
    tuned = next(arm for arm in stored["arms"] if arm["name"] == "tuned")
    tuned["optimizer"] = {"name": "date"}
    tuned["space"] = {**tuned["space"], "ratio_high": {"choices": [10.0, 100.0]}}
    limits = [sentence for sentence in searched_constants(reported(stored)) if "layer-wise" in sentence]
    assert [sentence.split(" are ")[0].split(" is a ")[0] for sentence in limits] == [
        "The limit 0.01 of the layer-wise ratio in tuned",
        "The limits 0.01 and 100 of the layer-wise ratio in date",
    ]


def test_the_bills_of_the_limits_are_those_of_their_studies() -> None:
    """A study's file says what is trained for a choice, then with three seeds, and the page of results what was."""
    for name in ("date_limits_lenet", "date_limits_lstm"):
        study = load_study(name)
        trials = [_grid(study.baseline.tune), *(_grid(arm.baseline.tune) for arm in study.arms if arm.baseline)]
        tuned = _grid(study.arm("tuned")) * len(study.batch_sizes)
        confirmed = 3 * (1 + len(study.arms) * len(study.batch_sizes))
        assert sum(trials) + tuned + confirmed == LIMITS_SEARCH[name]
    results = (Path(__file__).parents[4] / "studies" / "README.md").read_text(encoding="utf-8")
    assert "131 trainings, 2,641" in results
    assert "and 32 trainings of `date_limits_lenet_upper`" in results


def _grid(search: object) -> int:
    return math.prod(param.num if hasattr(param, "num") else len(param.choices) for param in search.space.values())
