"""The provenance of a report's numbers: what another person needs to reproduce them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...analysis.amendments import read_amendments
from ...analysis.provenance import BEGUN_AT, PACKAGES
from ...trial import TrialResult
from ..answer import Answer
from ..tables.result_tables import Table
from .amendments import amendment_line
from .format import pluralize

NOT_KEPT = "not kept in this store: the study was run before zerotune kept it there; its journal may have it"


def origin_facts(subject: Answer) -> dict[str, str]:
    """Return fingerprint, seeds, devices, hosts, threads, dates and command, by name."""
    study, results = subject.origin.study, subject.results
    resources, num_workers = study.resources, study.resources.workers_per_trial
    seeds = ", ".join(map(str, study.seeds))
    holder = "training" if num_workers == 1 else "worker"
    amendments = "; ".join(map(amendment_line, read_amendments(subject.origin.sessions)))
    begun = " that it began with" if amendments else ""
    facts = {
        f"Fingerprint of the definition{begun}": subject.origin.fingerprint,
        "Amendments": amendments,
        "Seeds": f"{study.search_seed} for every search and its trials; {seeds} for confirmation runs",
        "Devices": _counts(result.device for result in results),
        "Hosts": _counts(result.host for result in results),
        f"CPU threads a {holder}": str(resources.cpus_per_trial),
        f"GPUs a {holder}": f"{resources.gpus_per_trial:g}",
        "Workers a training": str(num_workers) if num_workers > 1 else "",
        "Trainings begun and ended": _span(results),
        "Rebuilt by": subject.origin.command,
    }
    return {name: value for name, value in facts.items() if value}


def sessions_table(subject: Answer) -> Table | None:
    """Return a table of program versions and machines with the trainings that ended on each; None if not recorded."""
    sessions = subject.origin.sessions
    if not sessions:
        return None
    ended = _ended_by_session(sessions, subject.results)
    rows = [
        (session.get(BEGUN_AT, "not kept"), _commit(session), _versions(session), _machine(session), f"{number:,}")
        for session, number in zip(sessions, ended, strict=True)
    ]
    return Table(
        caption="The programs that ran the study. A new line begins where the version, commit, machine, data or "
        "resources changed, or the study was amended. Reused results count where they were trained.",
        columns=("begun (UTC)", "git commit", "versions", "machine", "trainings ended"),
        groups=(tuple(rows),),
        words=frozenset({0, 1, 2, 3}),
    )


def origin_as_json(subject: Answer) -> dict[str, Any]:
    """Return the provenance as plain values, including the whole definition."""
    return {
        "fingerprint": subject.origin.fingerprint,
        "command": subject.origin.command,
        "definition": dict(subject.origin.definition),
        "sessions": [dict(session) for session in subject.origin.sessions],
        "devices": dict(Counter(result.device for result in subject.results)),
        "hosts": dict(Counter(result.host for result in subject.results)),
        "began_at": min((result.started_at for result in subject.results), default=None),
        "ended_at": max((result.finished_at for result in subject.results), default=None),
    }


def _ended_by_session(sessions: Sequence[Mapping[str, str]], results: Iterable[TrialResult]) -> list[int]:
    """Count the trainings that ended while each session was the latest."""
    begun = [_timestamp(session.get(BEGUN_AT, "")) for session in sessions]
    numbers = [0] * len(sessions)
    for result in results:
        numbers[max((i for i, at in enumerate(begun) if at <= result.finished_at), default=0)] += 1
    return numbers


def _timestamp(text: str) -> float:
    """Return seconds since the epoch, or 0 if a session has no start time."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _commit(session: Mapping[str, str]) -> str:
    if "git.commit" not in session:
        return "an installed package"
    changed = ", with uncommitted changes" if session.get("git.dirty") == "true" else ""
    return f"{session['git.commit'][:12]}{changed}"


def _versions(session: Mapping[str, str]) -> str:
    known = [(name, session.get(f"version.{name}", "")) for name in PACKAGES]
    return ", ".join(
        f"{name} {version}" for name, version in [("python", session.get("python", "")), *known] if version
    )


def _machine(session: Mapping[str, str]) -> str:
    cores = f"{session['cpu_cores']} cores" if "cpu_cores" in session else ""
    return ", ".join(part for part in (session.get("cpu", ""), cores, session.get("platform", "")) if part)


def _counts(names: Iterable[str]) -> str:
    return ", ".join(
        f"{name} ({pluralize(number, 'training')})" for name, number in sorted(Counter(names).items()) if name
    )


def _span(results: Sequence[TrialResult]) -> str:
    if not results:
        return ""
    ends = (min(result.started_at for result in results), max(result.finished_at for result in results))
    return " to ".join(datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M UTC") for end in ends)
