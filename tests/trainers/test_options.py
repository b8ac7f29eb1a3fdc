import math

import pytest

from zerotune.trainers.options import complete_options
from zerotune.trainers.spec import OptionValue
from zerotune.trainers.tables import UnknownName

DEFAULTS: dict[str, OptionValue] = {"momentum": 0.9, "nesterov": False, "phi": "identity", "steps": 3}


def complete(**given: OptionValue) -> dict[str, object]:
    return complete_options(
        "optimizer 'x'", given, defaults=DEFAULTS, required={"milestones": tuple}, ranges={"momentum": (0, 1)}
    )


def test_options_left_out_get_their_defaults() -> None:
    expected = {"momentum": 0.5, "nesterov": False, "phi": "identity", "steps": 3, "milestones": (10, 20)}
    assert expected == complete(momentum=0.5, milestones=(10, 20))


def test_a_list_as_json_gives_it_becomes_a_tuple() -> None:
    assert complete(milestones=[10, 20])["milestones"] == (10, 20)  # type: ignore[arg-type]


def test_an_unknown_option_names_its_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown option of optimizer 'x' 'momentun': did you mean 'momentum'"):
        complete(milestones=(1,), momentun=0.9)


def test_a_missing_required_option_is_named() -> None:
    with pytest.raises(ValueError, match="optimizer 'x': option 'milestones' is missing and has no default"):
        complete()


def test_an_option_for_an_entry_without_options_says_so() -> None:
    with pytest.raises(ValueError, match="decay 'constant' takes no options, got 'factor'"):
        complete_options("decay 'constant'", {"factor": 0.1}, defaults={}, required={}, ranges={})


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("momentum", "0.9", "a finite number"),
        ("momentum", True, "a finite number"),
        ("momentum", math.nan, "a finite number"),
        ("nesterov", 1, "true or false"),
        ("phi", 1.0, "a name"),
        ("steps", 1.5, "a whole number"),
        ("milestones", 10, "a sequence of numbers"),
        ("milestones", ("ten",), "a sequence of numbers"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name: str, value: OptionValue, kind: str) -> None:
    with pytest.raises(ValueError, match=f"optimizer 'x': option '{name}' must be {kind}, got"):
        complete(**{"milestones": (1,), name: value})


def test_both_ends_of_a_range_are_allowed_and_nothing_beyond() -> None:
    assert (
        complete(momentum=0, milestones=(1,))["momentum"],
        complete(momentum=1, milestones=())["momentum"],
    ) == (0, 1)
    with pytest.raises(ValueError, match=r"option 'momentum' must be from 0 to 1, got 1\.5\."):
        complete(momentum=1.5, milestones=(1,))
