"""Check that a study goes on with its definition, or amend it with what was added to its file.

An amendment keeps every trained trial, so the amended study must ask for each of them again. This module must not know
what the answer says of an amendment.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..analysis.provenance import AMENDED, AMENDED_AFTER, EXPLORATORY
from ..campaign.campaign import Campaign
from ..errors import BadInput, StudyChanged
from ..reports.text.format import join_names, pluralize
from ..study import Study
from ..study.amendments import WHAT_MAY_BE_ADDED, Difference, beginnings, compare_definitions
from ..trial import Trial
from .journal import Journal, JournalContent, read_journal
from .same_training import APPLICATION_CODE, check_definition, definition_changes


def find_amendment(study: Study, journal: Journal, *, amend: bool, command: str) -> Mapping[str, str] | None:
    """Return what amends a study, as facts of a session; None if its definition is that of the journal.

    Args:
        study: the definition as it is now.
        journal: the study's, begun.
        amend: whether the user lets the study be amended.
        command: the command that amends it, for messages.

    Raises:
        StudyChanged: the definition differs in more than additions, they would change what was trained, or `amend` is
            False; the message says what differs, what may be added, and what to do.
    """
    content = journal.content
    if not definition_changes(study, journal):
        return None
    try:
        found = compare_definitions(study, content.definition)
    except BadInput:  # of a version whose definitions this one cannot read
        check_definition(study, journal)
        raise
    refused, before = found.refused, {}
    if not refused:
        before = _asked(Campaign(found.before, content.results, content.first_failures, content.beginnings), content)
        refused = tuple(_refusals(study, found, before, content))
    # What would lose a trained trial cannot be added as it stands.
    added = [f"{each.text} (may be added)" for each in found.additions] if found.refused or not refused else []
    start = f"study {study.name!r} was started with another definition:\n" + "".join(
        f"  {line}\n" for line in (*refused, *added)
    )
    other = f"give it another name, or move {journal.path.parent} away to start over"
    if refused:
        raise StudyChanged(
            f"{start}To a study that has begun may be added: {WHAT_MAY_BE_ADDED}; nothing else may change. Change "
            f"{'the rest' if added else 'it'} back to go on, {other}."
        )
    if not amend:
        raise StudyChanged(
            f"{start}Change it back to resume it, {other}. To amend it, so that it keeps its "
            f"{pluralize(len(content.results), 'result')} and trains what was added, which every answer will say:\n"
            f"  {command}"
        )
    return _as_facts(found, len(before), content)


def amended_definition(study: Study, journal: Journal) -> Mapping[str, object]:
    """Return the definition to record; it keeps the digest of the application's code that the study was started with.

    What trained each result is told by its session, and earlier versions knew the code from the definition alone.
    """
    content = {key: value for key, value in study.content().items() if key != APPLICATION_CODE}
    code = journal.content.definition.get(APPLICATION_CODE)
    return content if code is None else {**content, APPLICATION_CODE: code}


def stored_fingerprint(study: Study, folder: Path) -> str:
    """Return the fingerprint with which a store keeps the study of a folder: of the definition that it began with.

    Without a journal of this definition in the folder, it is that of the study.

    Raises:
        BadInput: the journal, or the definition in it, cannot be read.
    """
    content = read_journal(folder / "journal.jsonl")
    if not content.definition:
        return study.fingerprint
    found = compare_definitions(study, content.definition)
    return study.fingerprint if found.additions or found.refused else content.fingerprint


def _refusals(study: Study, found: Difference, before: Mapping[str, Trial], content: JournalContent) -> Iterator[str]:
    """Yield why additions would change what was trained, if they would; `before` are the trained trials."""
    searched = {r.trial.config.seed: r.trial.arm for r in content.results.values() if r.trial.role != "confirmation"}
    used = [f"{seed} (by {searched[seed]})" for seed in found.seeds if seed in searched]
    if used:
        yield f"seeds: a search has trained with {join_names(used)}, but a confirmation must be a fresh run"
        return
    begun = beginnings([*content.earlier, content.definition, study.content()])
    now = _asked(Campaign(study, content.results, content.first_failures, begun), content)
    lost = [trial for trial_id, trial in before.items() if trial.role != "confirmation" and trial_id not in now]
    for where, number in Counter(f"{trial.arm} at B={trial.batch_size:,}" for trial in lost).items():
        yield f"{where}: the amended study would not ask for {pluralize(number, 'trial')} that it has trained"


def _asked(campaign: Campaign, content: JournalContent) -> dict[str, Trial]:
    """Return the trials with a result that a campaign asks for, by id."""
    asked: dict[str, Trial] = {}
    while isinstance(trial := campaign.ask(), Trial):
        if trial.id in content.results:
            asked[trial.id] = trial
            campaign.tell(content.results[trial.id])
    return asked


def _as_facts(found: Difference, num_results: int, content: JournalContent) -> dict[str, str]:
    num_planned = sum(cell.num_planned for cell in Campaign(found.before).cells)
    is_known = any(result.test_score is not None for result in content.results.values())
    arms = dict.fromkeys(arm for addition in found.additions for arm in addition.arms)
    return {
        AMENDED: "; ".join(addition.text for addition in found.additions),
        AMENDED_AFTER: f"{num_results} of {num_planned}",
        EXPLORATORY: " ".join(arms) if is_known else "",
    }
