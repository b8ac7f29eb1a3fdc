"""What a study puts into its MLflow store, and what it says where the store does not take it.

This module must not know how trials are chosen or run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from ..analysis.comparison import ComparisonRow
from ..cost import Cost
from ..store import Store
from ..study import Study
from .answer import Answer


def store_opener(
    study: Study, tracking_uri: str, definition: Mapping[str, Any], sessions: Sequence[Mapping[str, str]]
) -> Callable[[], Store]:
    """What opens a study's store, at first and after every failure.

    Args:
        study: the study.
        tracking_uri: where its store is.
        definition: the resolved study as `tuner.run.answer.stored_definition` gives it.
        sessions: what programs and machines drove it, which the store keeps too.
    """
    methods = {arm.name: arm.method for arm in study.arms}

    def opened() -> Store:
        store = Store(tracking_uri, study.name, study.fingerprint, definition, methods)
        store.keep_sessions(sessions)
        return store

    return opened


def tell_store(console: Console, command: str, sentence: str, is_behind: bool) -> None:
    """Says how it is with the store, and what to type where it lacks results."""
    if not is_behind:
        console.print(Text(sentence, style="green"))
        return
    what = Text(f"{sentence} To bring them in later:", style="yellow")
    to_copy = Text(f"  {command}", style="yellow", no_wrap=True, overflow="ignore")
    console.print(Group(what, to_copy), crop=False)


def keep(store: Store, found: Answer, files: Iterable[Path]) -> None:
    """Puts the figures into the store, and each arm's summary on its parent run."""
    store.log_artifacts(files, "report")
    for row in found.comparison.rows:
        if row.search.trials or row.num_seeds:
            store.summarise(row.arm, row.batch_size, summary(row))
    for (arm, batch_size), cost in found.comparison.ledger.arms().items():
        store.summarise(arm, batch_size, spent(cost))
    store.finish()


def spent(cost: Cost) -> Mapping[str, float]:
    """All that an arm spent at a batch size, whatever its trials were for, as metrics of its parent run."""
    amounts = {**asdict(cost), "modelled_joules": cost.modelled_joules}
    return {f"spent/{name}": float(amount) for name, amount in amounts.items() if amount is not None}


def summary(row: ComparisonRow) -> Mapping[str, float]:
    """A row's figures as metrics of the arm's parent run."""
    figures = {"search_trials": float(row.search.trials)}
    if row.score is not None:
        figures["test_score"] = row.score.mean
    if row.bill is not None:
        figures |= {f"cost_to_a_model/{name}": value for name, value in row.bill.items()}
    for currency, saved in row.savings.items():
        figures[f"saved/{currency}"] = saved.share
        figures[f"saved_with_baseline/{currency}"] = saved.share_with_baseline
    return figures
