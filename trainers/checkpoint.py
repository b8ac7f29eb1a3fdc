"""A training's progress in one file: written whole or not at all, read only where it is intact and the training's own.

A checkpoint saves work; losing one costs some, and never the training. This module must not know what the state means.
"""

import copy
import hashlib
import json
import logging
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from .spec import TrainConfig

logger = logging.getLogger(__name__)

Rest = TypeVar("Rest")

COST_SHARE = 0.01
"""The part of a training's time that checkpoints may take."""
INTERVAL_SECONDS = (2.0, 60.0)
"""Between two checkpoints at least and at most, where their placement does not say."""


class CheckpointClock:
    """Says when a training's next checkpoint is due: what is lost and what is spent are weighed against each other.

    Args:
        seconds: between two; None for `COST_SHARE` of the time by what the last one took, within
            `INTERVAL_SECONDS`.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._between = INTERVAL_SECONDS[0] if seconds is None else seconds
        self._since = time.perf_counter()

    def is_due(self) -> bool:
        """Whether it is time."""
        return time.perf_counter() - self._since >= self._between

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, a checkpoint is written, whether that succeeds or not."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._since = time.perf_counter()
            if self._seconds is None:
                low, high = INTERVAL_SECONDS
                self._between = min(max((self._since - begin) / COST_SHARE, low), high)


class Stateful(Protocol):
    """A model or an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Its state."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Takes a state."""
        ...


def config_fingerprint(config: TrainConfig) -> str:
    """A name for a training, made of its configuration's content."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()


def write_checkpoint(path: Path, fingerprint: str, state: Mapping[str, Any]) -> None:
    """Replaces the file at `path`; a crash leaves the old one or the new one, never a mixture.

    Args:
        path: the file; its folder is made where it is missing.
        fingerprint: names the training; `read_checkpoint` must be given the same.
        state: tensors and plain values.

    Raises:
        OSError, RuntimeError: it cannot be written (a full disk, say); the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save({"fingerprint": fingerprint, "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def tolerate_write_errors(path: Path) -> Iterator[None]:
    """Inside, a checkpoint that cannot be written or removed is a logged warning."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # the latter is torch's writer's
        reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
        logger.warning("%s: the checkpoint cannot be written (%s): the training goes on without.", path, reason)


def read_checkpoint(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any] | None:
    """The state written last, or None where there is none to trust.

    A damaged file, or one of another training, is left out with a logged warning: the training then starts anew.
    Nothing in the file is executed (`weights_only=True`).

    Args:
        path: the file.
        fingerprint: the training it must belong to.
        device: where its tensors shall lie.
    """
    try:
        if not path.exists():
            return None
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch's reader does not compare the archive's checksums
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} differs")
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # whatever the damage is, the answer is the same
        logger.warning("%s: not a readable checkpoint (%r): the training starts anew.", path, error)
        return None
    if not isinstance(content, dict) or content.get("fingerprint") != fingerprint:
        logger.warning("%s: the checkpoint of another training: this one starts anew.", path)
        return None
    state: dict[str, Any] = content["state"]
    return state


def restore_checkpoint(
    path: Path,
    fingerprint: str,
    device: torch.device,
    parts: Mapping[str, Stateful],
    read_rest: Callable[[Mapping[str, Any]], Rest],
) -> Rest | None:
    """Puts parts of a training into the state written last, or leaves all of them as they are.

    Args:
        path: as of `read_checkpoint`.
        fingerprint: as of `read_checkpoint`.
        device: as of `read_checkpoint`.
        parts: those whose state was written, by name.
        read_rest: makes of the state what its caller needs of it.

    Returns:
        What `read_rest` gives; None where there is no state to trust, or where it does not fit: another version of this
        program wrote it. A warning is logged then.
    """
    state = read_checkpoint(path, fingerprint, device)
    if state is None:
        return None
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        rest = read_rest(state)
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except Exception as error:  # whatever does not fit
        logger.warning("%s: this checkpoint does not fit (%s): the training starts anew.", path, error)
        for name, part in parts.items():
            part.load_state_dict(before[name])
        return None
    return rest
