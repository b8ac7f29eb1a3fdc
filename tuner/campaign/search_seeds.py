"""The seeds of searches: of their proposals, and those that repeats train with.

This module must not know what they search.
"""

import hashlib

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
    look_up = APPLICATIONS[study.application].look_up
    seeds = () if look_up is None else look_up.table.seeds
    others = [seed for seed in seeds if seed not in study.seeds]
    if study.search_seed not in others:
        return derived
    return others[(others.index(study.search_seed) + repeat) % len(others)]


def derive_seed(seed: int, arm: str, batch_size: int) -> int:
    """Return a seed of its own for an arm's method, so that two arms do not draw the same points."""
    digest = hashlib.sha256(f"{seed}/{arm}/{batch_size}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
