"""Open a session of a study: start its journal, or go on with it where definition and training allow that."""

from collections.abc import Mapping

from rich.console import Console

from ..analysis.provenance import AMENDED, AMENDED_AFTER
from ..reports.text.format import pluralize
from ..study import Study
from .amendment import amended_definition, find_amendment
from .journal import Journal
from .same_training import check_definition, check_training


def open_session(
    study: Study,
    journal: Journal,
    session: Mapping[str, str],
    *,
    accept_changes: bool = False,
    amend: bool = False,
    command: str = "",
    amend_command: str | None = None,
) -> str | None:
    """Start a new journal, or check that an existing one belongs to the same study, and record this session.

    Args:
        study: the definition.
        journal: the study's.
        session: what runs it now.
        accept_changes: whether results that were trained differently are kept.
        amend: whether to go on with what was added to the definition.
        command: the command that the user gave, for messages.
        amend_command: the command that amends the study; None where it cannot be amended.

    Returns:
        A sentence to show, if the training differs from that of earlier sessions, or the study was amended.

    Raises:
        StudyChanged: the definitions differ, or the training of finished results does; the message shows what.
    """
    if not journal.content.definition:
        journal.start_study(study.content(), session)
        return None
    amendment = None
    if amend_command is None:
        check_definition(study, journal)
    else:
        amendment = find_amendment(study, journal, amend=amend, command=amend_command)
    told = check_training(study.name, journal, session, accept_changes=accept_changes, command=command)
    if amendment is None:
        journal.resume(session)
        return told
    journal.amend(amended_definition(study, journal), {**session, **amendment})
    amended = f"{study.name}: amended after {amendment[AMENDED_AFTER]} results: {amendment[AMENDED]}"
    return "\n".join(filter(None, [told, amended]))


def warn_about_damage(journal: Journal, console: Console) -> None:
    """Warn about unreadable journal lines, and about results that another journal recorded."""
    if damaged := journal.content.unreadable_lines:
        console.print(
            f"{journal.path}: {damaged} damaged lines skipped; the trials they recorded run again", style="yellow"
        )
    if foreign := journal.content.foreign_results:
        console.print(
            f"{journal.path}: not counted: {pluralize(foreign, 'result')} that another study or journal recorded",
            style="yellow",
        )
