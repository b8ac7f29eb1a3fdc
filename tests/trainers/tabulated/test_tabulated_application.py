"""Applications that are tables."""

from dataclasses import replace

import pytest

from tests.trainers.tabulated.small_tables import asked, small_table
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.applications.checks import field_problems
from zerotune.trainers.applications.tabulated import tabulated_application
from zerotune.trainers.data import DataError

SMALL = tabulated_application(
    name="small", load=small_table, metric="accuracy", higher_is_better=True, chance_score=0.1, epochs=5, num_train=100
)
SOURCE = SMALL.data_sources["small"]
OPTIONS = {"between": "interpolate", "along": "lr"}


def test_a_table_is_a_complete_application() -> None:
    assert [*field_problems(SMALL)] == []


def test_an_application_trains_or_is_looked_up_and_not_both() -> None:
    both = replace(APPLICATIONS["lenet_mnist"], look_up=SMALL.look_up)
    assert [*field_problems(both)] == [
        "look_up: is for applications that train nothing, but build_model is given: leave one of them out"
    ]


def test_the_options_of_the_data_choose_what_is_answered_between_values() -> None:
    assert SMALL.look_up is not None
    config = asked(batch_size=30, data_options={"between": "nearest", "along": "lr, batch_size"})
    assert SMALL.look_up(config).validation_score == 0.7


def test_the_data_are_checked_without_files() -> None:
    assert SOURCE.count(None, OPTIONS) == 100


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"between": "guess"}, "data.between must be one of interpolate, nearest, refuse, got 'guess'"),
        ({"along": "lr, width"}, "data.along names 'width': small has numbers along lr, batch_size"),
    ],
)
def test_an_option_that_the_table_does_not_know_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError, match=f"^{sentence}$"):
        SOURCE.count(None, {**OPTIONS, **options})
