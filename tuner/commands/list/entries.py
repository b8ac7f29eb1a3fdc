"""The names that a study can use, as rows of text."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ....trainers.applications import APPLICATIONS, Application
from ....trainers.applications.registry import SHIPPED, packaged_applications
from ....trainers.optimizers import OPTIMIZERS
from ....trainers.scaling import RULES
from ....trainers.schedules import DECAYS, WARMUPS
from ....trainers.spec import OptionValue
from ...errors import BadInput
from ...search import METHODS
from ...study import load_study, shipped_studies

EntryTable = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""Column names and rows."""


def list_entries(what: str) -> EntryTable:
    """Return the column names and rows of applications, optimizers, schedules, rules, methods or studies."""
    return {
        "applications": _applications,
        "optimizers": _optimizers,
        "schedules": _schedules,
        "rules": _rules,
        "methods": _methods,
        "studies": _studies,
    }[what]()


def _applications() -> EntryTable:
    rows = [
        (name, entry.description, _target(entry), _sources(entry), _options(entry.model_options.defaults), entry.source)
        for name, entry in APPLICATIONS.items()
    ]
    for name, entries in packaged_applications().items():  # named, not loaded: that could fail, or take long
        if name in SHIPPED or name not in APPLICATIONS:
            values = ", ".join(f"{e.dist.name if e.dist else 'an installed package'} ({e.value})" for e in entries)
            what = "has no effect, the name is taken: of" if name in SHIPPED else "of the installed package"
            rows.append((name, f"{what} {values}", "", "", "", ""))
    return ("application", "what it is", "target", "data", "model", "source"), rows


def _sources(entry: Application) -> str:
    """Format the data sources, each with its options and their defaults in brackets."""
    options = {name: _options(source.options.defaults) for name, source in entry.data_sources.items()}
    return ", ".join(f"{name} ({known})" if known else name for name, known in options.items())


def _target(entry: Application) -> str:
    """Format the metric, with its target and epochs if the application states them."""
    target = "" if entry.target is None else f" {entry.target:g}"
    return f"{entry.metric}{target}" + ("" if entry.epochs is None else f" in {entry.epochs} epochs")


def _optimizers() -> EntryTable:
    rows = [(name, e.description, _options(e.defaults), e.source) for name, e in OPTIMIZERS.items()]
    return ("optimizer", "what it is", "options", "source"), rows


def _schedules() -> EntryTable:
    warmups = [(name, f"a warm-up: {e.description}", "", e.source) for name, e in WARMUPS.items()]
    decays = [
        (name, f"a decay: {e.description}", _options(e.defaults, required=e.required), e.source)
        for name, e in DECAYS.items()
    ]
    return ("schedule", "what it is", "options", "source"), warmups + decays


def _rules() -> EntryTable:
    return ("rule", "what it does", "source"), [(name, e.description, e.source) for name, e in RULES.items()]


def _methods() -> EntryTable:
    searching = [(name, f"searches: {entry.description}") for name, entry in METHODS.items()]
    rules = [(name, f"a rule: {entry.description}") for name, entry in RULES.items()]
    return ("method", "what it does"), searching + rules


def _studies() -> EntryTable:
    rows = []
    for name, path in shipped_studies().items():
        try:
            study = load_study(path)
        except BadInput as error:  # e.g. an extra that is not installed; the other studies are listed all the same
            rows.append((name, str(error).split("\n")[0], ""))
        else:
            rows.append((name, study.question, ", ".join(arm.name for arm in study.arms)))
    return ("study", "question", "arms"), rows


def _options(defaults: Mapping[str, OptionValue], *, required: Iterable[str] = ()) -> str:
    needed = [f"{name} (required)" for name in required]
    shown = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in defaults.items()}
    return ", ".join([*needed, *(f"{name}={value}" for name, value in shown.items())])


def print_entries(listing: EntryTable, console: Console) -> None:
    """Print entries: the name on the left, the other columns beside it, one per line, so that none is squeezed."""
    columns, rows = listing
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, description, *details in rows:
        lines = [Text(description)] if description else []
        lines += [
            Text(f"{column}: {detail}", style="dim")
            for column, detail in zip(columns[2:], details, strict=True)
            if detail
        ]
        table.add_row(Text(name, style="bold"), Group(*lines))
    console.print(table)
