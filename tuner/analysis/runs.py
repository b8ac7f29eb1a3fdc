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

    def confirmations(self, arm: str, batch_size: int) -> list[TrialResult]:
        """Return the confirmation runs of the arm's last choice: a search with a larger budget may choose anew."""
        place = (arm, batch_size)
        if place not in self._confirmations:
            self._confirmations[place] = _of_last_choice(self.of(arm, batch_size, "confirmation"))
        return self._confirmations[place]

    def baseline_costs(self, arm: str) -> list[Cost]:
        """Return the costs of the search for a baseline, "baseline" or "ARM baseline"."""
        of_arm = [runs for (name, _, role), runs in self._by_place.items() if (name, role) == (arm, "baseline")]
        return [run.cost for runs in of_arm for run in runs]


def confirmation_runs(results: Iterable[TrialResult], arm: str, batch_size: int) -> list[TrialResult]:
    """Return the confirmation runs of the arm's last choice; several arms are asked for through `Runs`."""
    return Runs(results).confirmations(arm, batch_size)


def _of_last_choice(runs: list[TrialResult]) -> list[TrialResult]:
    if not runs:
        return []
    last = max(runs, key=lambda result: result.finished_at).trial.config
    return [run for run in runs if replace(run.trial.config, seed=last.seed) == last]
