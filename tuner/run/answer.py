"""From results to the answer: those of a journal, or those of a store alone, so a verdict can be rebuilt anywhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.comparison import Comparison, StudyFacts, compare
from ..analysis.provenance import Origin
from ..analysis.selection import BASELINE
from ..analysis.subject import Subject
from ..store import read_results
from ..study import SEARCH_METHODS, Study
from ..study.search_space import Space
from ..study.values import parse_param
from ..trial import TrialResult

METRIC = "metric"
HIGHER_IS_BETTER = "higher_is_better"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A study's comparison, the results it was made of, and where these come from.

    Attributes:
        comparison: what the study found.
        results: all trials, in the order they finished.
        origin: what is needed to get them again.
        is_stored: whether all of it is in the store, too: not where that does not answer.
    """

    comparison: Comparison
    results: Sequence[TrialResult]
    origin: Origin
    is_stored: bool = True

    def subject(self, cost: str = "device_seconds") -> Subject:
        """What a report takes; `cost` is a name in `tuner.cost.CURRENCIES`."""
        return Subject(comparison=self.comparison, results=self.results, origin=self.origin, cost=cost)


def stored_definition(study: Study, *, metric: str, higher_is_better: bool) -> dict[str, Any]:
    """The resolved study as the store keeps it, with what a reader must know of the application."""
    return {**study.resolved(), METRIC: metric, HIGHER_IS_BETTER: higher_is_better}


def study_facts(definition: Mapping[str, Any]) -> StudyFacts:
    """What a comparison must know, from a stored definition."""
    arms = definition["arms"]
    return StudyFacts(
        name=definition["name"],
        question=definition["question"] or "",
        reference=definition["reference"],
        margin=definition["margin"],
        metric=definition[METRIC],
        higher_is_better=definition[HIGHER_IS_BETTER],
        arms=tuple(arm["name"] for arm in arms),
        zero_tuning_arms=tuple(arm["name"] for arm in arms if arm["method"] not in SEARCH_METHODS),
        batch_sizes=tuple(definition["batch_sizes"]),
        baseline_batch_size=definition["baseline"]["batch_size"],
        num_seeds=len(definition["seeds"]),
        stated_baselines=tuple(arm["name"] for arm in arms if _states_its_baseline(arm)),
        learned_arms=tuple(arm["name"] for arm in arms if arm["method"] == "optuna"),
        spaces=_spaces(definition),
    )


def _spaces(definition: Mapping[str, Any]) -> dict[str, Space]:
    """What each search ranges over, by the arm name of its trials."""
    searches = [(BASELINE, definition["baseline"].get("tune"))]
    for arm in definition["arms"]:
        searches.append((f"{arm['name']} {BASELINE}", (arm.get("baseline") or {}).get("tune")))
        searches.append((arm["name"], arm))
    return {
        name: {key: parse_param(param) for key, param in search["space"].items()}
        for name, search in searches
        if search and search.get("space")
    }


def _states_its_baseline(arm: Mapping[str, Any]) -> bool:
    own = arm.get("baseline") or {}
    return own.get("lr") is not None and own.get("tune") is None


def answer(tracking_uri: str, study_name: str, *, with_epochs: bool = False, command: str = "") -> Answer:
    """The comparison of a study, read from its store.

    Args:
        tracking_uri: the MLflow store.
        study_name: name of the study; of several definitions of it, the one that was begun last counts.
        with_epochs: also read the per-epoch metrics, which learning curves need: several requests a trial.
        command: what the user can type to get this again.

    Raises:
        BadInput: the store has no such study.
        Unreachable: the store does not answer.
    """
    stored = read_results(tracking_uri, study_name, with_epochs=with_epochs)
    origin = Origin(
        definition=stored.resolved_study, fingerprint=stored.fingerprint, sessions=stored.sessions, command=command
    )
    return answer_of(stored.results, origin)


def answer_of(results: Iterable[TrialResult], origin: Origin) -> Answer:
    """The comparison of results at hand.

    Args:
        results: of the study, in any order; with epochs where learning curves are wanted.
        origin: where they come from; its definition is one that `stored_definition` gives.
    """
    in_order = tuple(sorted(results, key=lambda result: (result.finished_at, result.trial.id)))
    return Answer(comparison=compare(study_facts(origin.definition), in_order), results=in_order, origin=origin)
