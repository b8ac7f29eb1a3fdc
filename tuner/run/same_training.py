"""Check that a study goes on with what its results were trained with: definition, code, packages, data, resources."""

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..analysis.training_changes import describe_training_changes
from ..errors import StudyChanged
from ..study import Study, describe_changes
from .journal import Journal

APPLICATION_CODE = "application_code"
"""Key of a definition that holds a digest of the application's file. `check_training` compares all of its code."""


def check_definition(study: Study, journal: Journal) -> None:
    """Check that an existing journal belongs to this study.

    Raises:
        StudyChanged: the definitions differ; the message shows the differences.
    """
    if changes := definition_changes(study, journal):
        raise StudyChanged(
            f"study {study.name!r} was started with another definition:\n"
            + "\n".join(f"  {line}" for line in changes)
            + f"\nChange it back to resume it, give it another name, or move {journal.path.parent} away to start over."
        )


def definition_changes(study: Study, journal: Journal) -> list[str]:
    """Return a line for every value that differs between the definitions of a study and of its journal."""
    before, now = dict(journal.content.definition), study.content()
    return describe_changes(*({**each, APPLICATION_CODE: None} for each in (before, now)))


def check_training(
    name: str, journal: Journal, session: Mapping[str, str], *, accept_changes: bool, command: str
) -> str | None:
    """Check that a session trains with what trained the study's results, as far as both are known.

    Failed results do not count: if no other trial has ended, the cause may be mended. A session that the user has let
    go on before is not refused again.

    Args:
        name: the study's.
        journal: its journal.
        session: what trains now.
        accept_changes: whether results that were trained differently are kept.
        command: the command that the user gave, without `--accept-changes`.

    Returns:
        A sentence about what changed, to be shown; None if nothing did.

    Raises:
        StudyChanged: results were trained differently, and that is not accepted; the message shows the differences.
    """
    content = journal.content
    if not describe_training_changes(content.training_of(-1), session):
        return None
    ended = Counter(content.trained_in[i] for i, result in content.results.items() if result.status != "failed")
    changes = {index: describe_training_changes(content.training_of(index), session) for index in sorted(ended)}
    num_others = sum(ended[index] for index, found in changes.items() if found)
    if not ended:
        latest = describe_training_changes(content.training_of(-1), session)
        return f"{name}: no trial has finished yet, so these changes are taken: {'; '.join(latest)}"
    if not num_others:
        return None
    lines = max((index, found) for index, found in changes.items() if found)[1]
    num = sum(ended.values())
    which = "its result, which was" if num == 1 else f"{num_others} of its {num} results, which were"
    if accept_changes:
        return (
            f"{name}: goes on and keeps {which} trained differently: {'; '.join(lines)}. Its answer, report and "
            "compare will say so"
        )
    raise StudyChanged(
        f"study {name!r} cannot go on with {which} trained differently:\n"
        + "\n".join(f"  {line}" for line in lines)
        + "\nUndo that to go on. To keep the results and go on nevertheless, which every answer will say:\n"
        f"  {command} --accept-changes\n"
        f"To train everything anew, give the study another name, or move {journal.path.parent} away."
    )


def fresh_checkpoints(folder: Path | None, num_changes: int) -> Path | None:
    """Return the folder of checkpoints after so many changes of the training; those of before are deleted.

    A folder of its own is safe also where machines keep checkpoints that this program does not see.
    """
    if folder is None or not num_changes:
        return folder
    fresh = folder.with_name(f"{folder.name}-{num_changes}")
    for former in folder.parent.glob(f"{folder.name}*"):
        if former != fresh:
            shutil.rmtree(former, ignore_errors=True)
    return fresh
