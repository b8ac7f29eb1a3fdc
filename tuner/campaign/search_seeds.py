"""The seeds of searches: of their proposals, and those that repeats train with.

This module must not know what they search.
"""

import hashlib
import itertools

from ...trainers.applications import APPLICATIONS
from ..study import Study


def search_seed_of(study: Study, repeat: int, derived: int) -> int:
    """Return the seed of a search's trials.

    The first search has the study's search seed. On a table of past trainings, repeats take the table's other seeds in
    turn, as far as none of them confirms: it answers no seed that it lacks.

    Args:
        study: the definition.
        repeat: which search of an arm at a batch size it is, from 0.
        derived: seed of the repeat where any seed can be trained.
    """
    if repeat == 0:
        return study.search_seed
    others = _of_table(study)
    if study.search_seed not in others:
        return derived
    return others[(others.index(study.search_seed) + repeat) % len(others)]


def repetition_seed(study: Study, search_seed: int, repeat: int) -> int:
    """Return the seed of a search trial whose configuration was trained `repeat` times before; no confirmation's.

    On a table of past trainings it is another of the table's seeds, as long as there are some.
    """
    others = _of_table(study)
    if search_seed in others and repeat < len(others):
        return others[(others.index(search_seed) + repeat) % len(others)]
    free = (seed for seed in itertools.count(search_seed) if seed not in study.seeds)
    return next(itertools.islice(free, repeat, None))


def _of_table(study: Study) -> list[int]:
    """Return the seeds of a table of past trainings that confirm nothing; empty where trials are trained."""
    look_up = APPLICATIONS[study.application].look_up
    return [] if look_up is None else [seed for seed in look_up.table.seeds if seed not in study.seeds]


def derive_seed(seed: int, arm: str, batch_size: int) -> int:
    """Return a seed of its own for an arm's method, so that two arms do not draw the same points."""
    digest = hashlib.sha256(f"{seed}/{arm}/{batch_size}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
