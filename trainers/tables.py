"""Look up named entries; the error of an unknown name lists the known ones.

Everything that can be extended stands in one explicit dict: `OPTIMIZERS`, `APPLICATIONS`, `RULES` and so on. This
module must not know any of them.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


class UnknownName(ValueError):
    """Name that is not in its table; the message gives the nearest known name and all of them."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelled most like `name`, or None if none is close.

    Two thirds of the letters must be shared in order, or all of them in any order; or one name must contain the other.
    A wrong hint is worse than none.

    >>> nearest("lasr", ["lars", "lamb"]), nearest("warmup", ["warmup_epochs"]), nearest("tpe", ["date", "grid"])
    ('lars', 'warmup_epochs', None)
    """
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.66)
    swapped = [other for other in names if sorted(other) == sorted(name)]
    within = [other for other in names if min(len(name), len(other)) >= 3 and (name in other or other in name)]
    return next(iter([*close, *swapped, *within]), None)


def lookup(kind: str, table: Mapping[str, Entry], name: str) -> Entry:
    """Return the entry of a table.

    Args:
        kind: what the table holds, in the singular, for the error message ("optimizer").
        table: entries by name.
        name: name of the entry.

    Raises:
        UnknownName: the table has no such entry.

    >>> lookup("rule", {"sqrt": 1, "linear": 2}, "sqrt")
    1
    >>> lookup("rule", {"sqrt": 1, "linear": 2}, "sqr")
    Traceback (most recent call last):
    ...
    zerotune.trainers.tables.UnknownName: unknown rule 'sqr': did you mean 'sqrt'? Known: linear, sqrt.
    """
    if name in table:
        return table[name]
    guess = nearest(name, table)
    hint = f" did you mean {guess!r}?" if guess else ""
    raise UnknownName(f"unknown {kind} {name!r}:{hint} Known: {', '.join(sorted(table))}.")
