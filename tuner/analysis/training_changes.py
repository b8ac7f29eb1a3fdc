"""What differs between the trainings of two sessions, in words.

A fact that one of the sessions does not know, such as one of an earlier version of zerotune, is not compared. Nor is
anything that does not change numbers: the commit, the machine, the versions of Ray, MLflow and Optuna.
"""

from collections.abc import Iterator, Mapping

from ...trainers.applications.local_modules import ABSENT
from ...trainers.data.identity import is_other_content
from .provenance import APPLICATION, DATA, ENVIRONMENT, PACKAGE_VERSIONS, RESOURCES, TRAINERS

Session = Mapping[str, str]


def describe_training_changes(before: Session, now: Session) -> list[str]:
    """Return a sentence without a full stop for everything that changes numbers and differs between two sessions.

    >>> one = {"training.application": ". 01, helper 02", "training.packages": "torch 2.9.0, timm 1.0"}
    >>> describe_training_changes(one, {"training.application": ". 01, helper 03", "training.packages": "torch 2.10.0"})
    ['application module helper.py changed', 'torch 2.9.0 was used, 2.10.0 is installed']
    >>> describe_training_changes(one, {"training.data": "own"})
    []
    """
    return list(_changes(before, now))


def _changes(before: Session, now: Session) -> Iterator[str]:
    for name, _, _ in _differing(before, now, APPLICATION):
        yield "the application's file changed" if name == "." else f"application module {_file(name)} changed"
    for name, old, new in _differing(before, now, PACKAGE_VERSIONS):
        was = f"{name} was {ABSENT}" if old == ABSENT else f"{name} {old} was used"
        yield f"{was}, it is {ABSENT}" if new == ABSENT else f"{was}, {new} is installed"
    if TRAINERS in before and TRAINERS in now and before[TRAINERS] != now[TRAINERS]:
        old, new = (session.get("version.zerotune", "") for session in (before, now))
        versions = f": {old} was used, {new} is installed" if old != new and old and new else ""
        yield f"zerotune's own code that trains changed{versions}"
    if before.get(DATA) and now.get(DATA) and is_other_content(before[DATA], now[DATA]):
        yield "the training data have other content" if "own" not in (before[DATA], now[DATA]) else _moved(before)
    for name, old, new in _differing(before, now, ENVIRONMENT):
        was = f"environment variable {name} was {'not set' if old == 'unset' else 'set to another value'}"
        yield f"{was}, now it is not set" if new == "unset" else was
    if RESOURCES in before and RESOURCES in now:
        for old, new in zip(_numeric_parts(before[RESOURCES]), _numeric_parts(now[RESOURCES]), strict=False):
            if old != new:
                yield f"a trial was trained with {old}, now with {new}"


def _moved(before: Session) -> str:
    if before[DATA] == "own":
        return "the data source's own files were used, now those of a data folder"
    return "files of a data folder were used, now the data source's own"


def _file(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def _differing(before: Session, now: Session, fact: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, old and new value of everything that a fact lists in both sessions with different values."""
    old, new = (_listed(session.get(fact, "")) for session in (before, now))
    yield from ((name, old[name], new[name]) for name in old if name in new and old[name] != new[name])


def _listed(text: str) -> dict[str, str]:
    found = {}
    for part in text.split(", ") if text else ():
        name, _, value = part.partition(" ")
        found[name] = value
    return found


def _numeric_parts(resources: str) -> list[str]:
    """Return what a trial holds without what changes seconds alone: how much of a GPU."""
    threads, gpus, *others = [*resources.split(", "), ""][:3]
    return [threads, "no GPU" if gpus in ("0 GPUs", "") else "a GPU", *others]
