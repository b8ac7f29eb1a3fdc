"""The results of a study by arm, batch size and role. This module must not know what they are compared for."""

from collections.abc import Iterable
from dataclasses import replace

from ..cost import Cost
from ..trial import Role, TrialResult


class Runs:
    """Results by arm, batch size and role, so that each is looked at once however many arms are compared."""

    def __init__(self, results: Iterable[TrialResult]) -> None:
        self._by_place: dict[tuple[str, int, Role], list[TrialResult]] = {}
        self._confirmations: dict[tuple[str, int], list[TrialResult]] = {}
        for result in results:
            trial = result.trial
            self._by_place.setdefault((trial.arm, trial.batch_size, trial.role), []).append(result)

    def of(self, arm: str, batch_size: int, role: Role) -> list[TrialResult]:
        """Return the results of an arm at a batch size in one role."""
        return self._by_place.get((arm, batch_size, role), [])

    def searches(self, arm: str, batch_size: int) -> dict[int, list[TrialResult]]:
        """Return the trials of an arm's search at a batch size, and those of its repeats, by their number.

        Repeats of earlier versions have no number, and were not confirmed: they are left out.
        """
        found: dict[int, list[TrialResult]] = {}
        for result in self.of(arm, batch_size, "search"):
            found.setdefault(0, []).append(result)
        for result in self.of(arm, batch_size, "repeat"):
            if result.trial.repeat:
                found.setdefault(result.trial.repeat, []).append(result)
        return found

    def confirmations(self, arm: str, batch_size: int) -> list[TrialResult]:
        """Return the confirmation runs of the last choice of an arm, and of every repeat of its search.

        A search with a larger budget may choose anew.
        """
        place = (arm, batch_size)
        if place not in self._confirmations:
            found = self.confirmations_by_search(arm, batch_size)
            self._confirmations[place] = [run for runs in found for run in runs]
        return self._confirmations[place]

    def confirmations_by_search(self, arm: str, batch_size: int) -> list[list[TrialResult]]:
        """Return `confirmations`, those of each search together, in the order of the searches."""
        by_repeat: dict[int, list[TrialResult]] = {}
        for result in self.of(arm, batch_size, "confirmation"):
            by_repeat.setdefault(result.trial.repeat, []).append(result)
        return [_of_last_choice(by_repeat[repeat]) for repeat in sorted(by_repeat)]

    def baseline_costs(self, arm: str) -> list[Cost]:
        """Return the costs of the search for a baseline, "baseline" or "ARM baseline"."""
        of_arm = [runs for (name, _, role), runs in self._by_place.items() if (name, role) == (arm, "baseline")]
        return [run.cost for runs in of_arm for run in runs]


def confirmation_runs(results: Iterable[TrialResult], arm: str, batch_size: int) -> list[TrialResult]:
    """Return the confirmation runs of an arm, see `Runs.confirmations`; several arms are asked for through `Runs`."""
    return Runs(results).confirmations(arm, batch_size)


def _of_last_choice(runs: list[TrialResult]) -> list[TrialResult]:
    if not runs:
        return []
    last = max(runs, key=lambda result: result.finished_at).trial.config
    return [run for run in runs if replace(run.trial.config, seed=last.seed) == last]
