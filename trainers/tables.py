"""One way to read a table of named entries, so that a miss always names what is known.

Every kind of thing that can be extended lives in one explicit dict (`OPTIMIZERS`, `APPLICATIONS`, `RULES` ...).
This module must not know any of them.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


class UnknownName(ValueError):
    """A name that its table does not hold; the text names the nearest and all the known ones."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest in spelling to `name`, or None where nothing is close.

    >>> nearest("lasr", ["lars", "lamb"])
    'lars'
    """
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def lookup(kind: str, table: Mapping[str, Entry], name: str) -> Entry:
    """The entry `name` of a table.

    Args:
        kind: what the table holds, in the singular, for the error text ("optimizer").
        table: the named entries.
        name: the entry asked for.

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
