"""Results of one study that were not all trained with the same code, packages, data and resources."""

from collections import Counter
from collections.abc import Iterable

from ...analysis.provenance import RESULTS
from ...analysis.training_changes import describe_training_changes
from ..answer import Answer


def mixed_trainings(subject: Answer) -> Iterable[str]:
    """State how many results were trained before and after every change of the training; nothing without one."""
    sessions = subject.origin.sessions
    of_session = {trial: i for i, facts in enumerate(sessions) for trial in facts.get(RESULTS, "").split()}
    ended = [result.trial.id for result in subject.results if result.status != "failed"]
    numbers = Counter(of_session.get(trial, len(sessions) - 1) for trial in ended)
    parts: list[tuple[int, list[str]]] = []
    latest = 0
    for i in sorted(numbers):
        changes = describe_training_changes(sessions[latest], sessions[i]) if parts else []
        if parts and not changes:
            number, changes = parts.pop()
            parts.append((number + numbers[i], changes))
        else:
            parts.append((numbers[i], changes))
        latest = i
    if len(parts) > 1:
        later = "; ".join(f"{number} after a change ({', '.join(changes)})" for number, changes in parts[1:])
        yield (
            f"The {len(ended)} results were not all trained with the same code, packages, data and resources: "
            f"{parts[0][0]} at first; {later}. Scores and costs are compared nevertheless."
        )
