"""Types of single values in a study definition: names, counts, seeds and addresses, with their limits.

The limits are far above any use. They keep a typing error from planning a million trials.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticKnownError

from ..addresses import has_credentials, split_address
from ..cost import CURRENCIES

_NAME: Final = r"[a-z0-9][a-z0-9_-]*"
"""Pattern of names of studies and arms, which become names of folders, files and MLflow experiments."""
_LONGEST_NAME: Final = 60

STORED: Final = {"stored": True}
"""Validation context of a definition that comes from a store: its names are text, and not checked."""


def is_stored(info: ValidationInfo) -> bool:
    """Return whether the definition comes from a store, not from whoever writes it."""
    return info.context == STORED


def _unique(numbers: tuple[int, ...]) -> tuple[int, ...]:
    for number in numbers:
        if numbers.count(number) > 1:
            raise ValueError(f"holds {number} twice")
    return numbers


def _check_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


def _check_question(text: str, info: ValidationInfo) -> str:
    return text if is_stored(info) else _check_line(text)


def _check_name(name: str, info: ValidationInfo) -> str:
    if is_stored(info):
        return name
    if len(name) > _LONGEST_NAME:
        raise PydanticKnownError("string_too_long", {"max_length": _LONGEST_NAME})
    if not is_name(name):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": _NAME})
    return name


def _without_credentials(uri: str) -> str:
    """Refuse a URI with credentials, since it is written into the records of the study."""
    try:
        split_address(_check_line(uri))
    except ValueError:  # its message may repeat a secret
        raise ValueError("must be a URI such as http://host:5000 or sqlite:///runs.db, on one line") from None
    if has_credentials(uri):
        raise ValueError(
            "holds credentials, which would be stored with the study: leave them out and set MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD (a database: PGPASSWORD) in the environment"
        )
    if not uri:
        raise ValueError("must not be empty: leave it out, or write null, for the local store")
    return uri


def _not_a_folder_of_the_store(name: str) -> str:
    if name == "artifacts":
        raise ValueError("'artifacts' is MLflow's own folder in the store: choose another name")
    return name


def is_name(text: str) -> bool:
    """Return whether a study or an arm may have this name.

    >>> is_name("lenet-32k"), is_name(".."), is_name("a/b")
    (True, False, False)
    """
    return len(text) <= _LONGEST_NAME and re.fullmatch(_NAME, text) is not None


SCORE: Final = "score"
"""Name of the validation score among the objectives of a search."""
COSTS: Final = tuple(name for name in CURRENCIES if name not in ("trials", "epochs", "iterations", "samples"))
"""Names of costs among the objectives of a search: in the others all of its trainings are alike."""


def _score_and_cost(objectives: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    first, *others = objectives
    if not is_stored(info) and (first != SCORE or len(others) != 1 or others[0] not in COSTS):
        got = ", ".join(objectives)
        raise ValueError(f"must be [score, COST], with a COST of {', '.join(COSTS)}; got [{got}]")
    return objectives


def _packing(value: object) -> object:
    if value in ("auto", "off") or (isinstance(value, int) and value is not True and 1 <= value <= 128):
        return value
    raise ValueError("must be 'auto', 'off', or how many trials to train at once, 1 to 128")


Name = Annotated[str, AfterValidator(_check_name)]
StudyName = Annotated[Name, AfterValidator(_not_a_folder_of_the_store)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Trials = Annotated[int, Field(ge=1, le=10_000)]
Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=10_000_000)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
# YAML lists become tuples, so the tuple itself is not strict; its items are.
_LIST = Field(strict=False, min_length=1, max_length=100)
Seeds = Annotated[tuple[Seed, ...], _LIST, AfterValidator(_unique)]
AscendingCounts = Annotated[
    tuple[Count, ...], _LIST, AfterValidator(_unique), AfterValidator(lambda counts: tuple(sorted(counts)))
]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Watts = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Currency = Annotated[str, Field(min_length=1, max_length=12), AfterValidator(_check_line)]
OneLine = Annotated[str, AfterValidator(_check_question)]
TrackingURI = Annotated[str, AfterValidator(_without_credentials)]
Packing = Annotated[Literal["auto", "off"] | int, BeforeValidator(_packing)]
Objectives = Annotated[
    tuple[str, ...], Field(strict=False, min_length=1, max_length=10), AfterValidator(_score_and_cost)
]
Pruner = Literal["none", "asha", "hyperband", "median"]
Sampler = Literal["tpe", "gp", "sobol", "random"]
Terminator = Literal["regret_bound"]
StartFrom = Literal["neighbour"]
