"""The methods of arms, and which keys of an arm have an effect with which.

This module must not know what the keys hold.
"""

from collections.abc import Mapping
from typing import Any, Final

from ...trainers.scaling import RULES

SPACE_METHODS: Final = ("grid", "random", "sobol", "optuna", "gp")
"""Methods that search a space; `defaults` tries `tuner.study.defaults.DEFAULTS`."""

COMPREHENSIVE: Final = "comprehensive"
"""Method that searches the solver too, in spaces of its own (`tuner.study.comprehensive`)."""

SEARCH_METHODS: Final = (*SPACE_METHODS, COMPREHENSIVE, "defaults")
"""Methods that search. Any other method of an arm is a rule in `trainers.scaling.RULES`."""

RULE_OPTIMIZERS: Final = {"date": "date"}
"""Rules with an optimizer of their own (DATE, Algorithm 1, is a schedule and an optimizer)."""

RULE_NUMBERS: Final = ("exponent", "noise_batch_size")
"""Numbers that some rules need besides the baseline (`Rule.numbers`)."""

KEYS_OF: Final = {
    "trials": ("random", "sobol", "optuna", "gp", COMPREHENSIVE, "defaults"),
    "space": (*SPACE_METHODS, COMPREHENSIVE),
    "fixed": SPACE_METHODS,
    "solvers": (*SPACE_METHODS, COMPREHENSIVE),
    "sampler": ("optuna",),
    "repeats": ("random", "sobol", "optuna", "gp", COMPREHENSIVE),
    "start_from": ("random", "sobol", "optuna", "gp", COMPREHENSIVE),
    **dict.fromkeys(("pruner", "parallel", "objectives", "terminator"), ("optuna", "gp")),
    "stop": ("random", "sobol", "optuna", "gp", COMPREHENSIVE),
    **dict.fromkeys(("baseline", "on_long_warmup", "guard"), tuple(RULES)),
    **{number: tuple(name for name in RULES if number in RULES[name].numbers) for number in RULE_NUMBERS},
}
"""Methods that a key of an arm has an effect with; keys that are not listed have one with every method."""

PLAIN_VALUES: Final[Mapping[str, object]] = {
    **dict.fromkeys(("solvers", "objectives", "start_from", "stop", "terminator")),
    **{"sampler": "tpe", "space": {}},
    **{"ties": "best", "tie_seeds": 0, "extend": False, "guard": 0},
}
"""Values of keys of an arm that are left out of records: earlier versions did not have these keys there."""

UNFIXED_KEYS: Final = ("question", "resources", "budget", "prices", "tracking_uri")
"""Keys that do not change what any trial learns, so that they may change before a study is resumed."""


def without_ineffective(plain: dict[str, Any]) -> dict[str, Any]:
    """Drop keys without effect with the method, and those of `PLAIN_VALUES`, of an arm, a baseline or its search."""
    if plain.get("tune"):
        plain = {**plain, "tune": without_ineffective(plain["tune"])}
    method = plain.get("method")
    effective = {key: value for key, value in plain.items() if method in KEYS_OF.get(key, (method,))}
    dropped = [key for key in PLAIN_VALUES if effective.get(key) == PLAIN_VALUES[key]]
    return plain if method is None else {key: value for key, value in effective.items() if key not in dropped}
