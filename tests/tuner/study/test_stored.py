"""A stored definition reads back as the study that was stored, on any machine."""

import json
from typing import Any

import pytest

from tests.tuner.study.example_study import study
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import load_study, shipped_studies
from zerotune.tuner.study.stored import read_definition


def stored(**changes: Any) -> dict[str, Any]:
    """Return the example's definition in the form that a store holds."""
    return {**json.loads(json.dumps(study().resolved())), "metric": "accuracy", **changes}


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_a_shipped_study_is_read_back_with_its_fingerprint(name: str) -> None:
    definition = load_study(name)
    read = read_definition(json.loads(json.dumps(definition.resolved())))
    assert read.fingerprint == definition.fingerprint
    assert read.resolved() == definition.resolved()


def test_names_that_are_unknown_here_are_read_as_text() -> None:
    read = read_definition(
        stored(application="mine", name="Any Name", question="two\nlines", data={"source": "my data"})
    )
    assert (read.application, read.name, read.question, read.data.source) == (
        *("mine", "Any Name", "two\nlines"),
        "my data",
    )


def test_an_optimizer_of_another_version_is_read_as_it_stands() -> None:
    definition = stored()
    definition["baseline"]["optimizer"] = {"name": "newer", "rate": 7}
    assert read_definition(definition).baseline.optimizer.options == {"rate": 7}


def test_a_definition_that_cannot_be_read_is_refused_with_the_version_that_wrote_it() -> None:
    with pytest.raises(BadInput) as error:
        read_definition(stored(epochs="many"), version="9.0")
    assert str(error.value) == (
        "the definition in the records of study 'example' cannot be read: epochs: must be a whole number, got 'many'. "
        "It was damaged or written by zerotune 9.0: read it with that."
    )
