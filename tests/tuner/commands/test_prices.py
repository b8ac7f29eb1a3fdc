"""The option `--prices`, and the key `prices` of a study."""

import pytest

from tests.reported_study import STUDY, reported
from zerotune.tuner.analysis.study_facts import stated_prices
from zerotune.tuner.commands.prices import at_prices, parse_prices
from zerotune.tuner.errors import BadInput
from zerotune.tuner.run.answer import stored_definition
from zerotune.tuner.study import study_from_text

PRICES = "device_hour=2.5, currency=EUR,watts=300,gco2_per_kwh=400"
IN_YAML = "prices: {device_hour: 2.5, currency: EUR, watts: 300, gco2_per_kwh: 400}\n"


def test_the_option_and_the_study_state_the_same_prices_and_change_no_training():
    study, plain = study_from_text(STUDY + IN_YAML, "synthetic.yaml"), study_from_text(STUDY, "synthetic.yaml")
    assert study.prices == parse_prices(PRICES)
    assert study.fingerprint == plain.fingerprint
    priced = reported(stored_definition(study)).comparison.facts.prices
    assert priced == stated_prices(study.prices)
    assert (priced.device_hour, priced.currency, priced.watts, priced.gco2_per_kwh) == (2.5, "EUR", 300.0, 400.0)


def test_the_option_replaces_the_studys_prices_and_stands_in_the_command_that_rebuilds_the_report():
    study = study_from_text(STUDY + IN_YAML, "synthetic.yaml")
    found = at_prices(reported(stored_definition(study)), "watts=100")
    assert (found.comparison.facts.prices.watts, found.comparison.facts.prices.device_hour) == (100.0, None)
    assert found.origin.command.endswith(" --prices watts=100")
    assert at_prices(found, None) is found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("device_hour=2", "states device_hour 2 of no currency: add one, such as currency: EUR. For example"),
        ("currency=EUR", "states the currency EUR of no price: add device_hour"),
        ("watts=0", "watts must be above 0, got 0.0"),
        ("watts=inf", "finite number"),
        ("watts=x", "watts must be a number, got 'x'"),
        ("watt=3", "takes KEY=VALUE, each key once, of device_hour, currency, watts, gco2_per_kwh"),
        ("watts=3,watts=4", "each key once"),
        ("device_hour=1,currency=", "currency"),
        ("", "takes KEY=VALUE"),
    ],
)
def test_a_mistake_in_the_option_is_told_with_an_example(text, reason):
    with pytest.raises(BadInput, match="--prices") as error:
        parse_prices(text)
    assert reason in str(error.value)
    assert "For example: --prices device_hour=2.5,currency=EUR" in str(error.value)


def test_a_price_without_a_currency_is_told_with_its_line():
    with pytest.raises(BadInput, match=r"x\.yaml:\d+: prices: states device_hour 2\.5 of no currency"):
        study_from_text(STUDY + "prices: {device_hour: 2.5}\n", "x.yaml")
