"""Checkpoints: a training's progress in one file, written atomically and read only if it is intact.

Losing a checkpoint costs work, never the training. This module must not know what the state means.
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
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from .spec import TrainConfig

logger = logging.getLogger(__name__)

Rest = TypeVar("Rest")

COST_SHARE = 0.01
"""Fraction of a training's time that checkpoints may take."""
INTERVAL_SECONDS = (2.0, 60.0)
"""Shortest and longest time between two checkpoints, if the placement sets none."""


class CheckpointClock:
    """Tells when the next checkpoint is due, balancing the work that may be lost against the time that writing takes.

    Args:
        seconds: time between two checkpoints. None to choose it within `INTERVAL_SECONDS` so that writing takes
            `COST_SHARE` of the time, as measured with the last checkpoint.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._between = INTERVAL_SECONDS[0] if seconds is None else seconds
        self._since = time.perf_counter()

    def is_due(self) -> bool:
        """Return whether the next checkpoint is due."""
        return time.perf_counter() - self._since >= self._between

    @contextmanager
    def time_write(self) -> Iterator[None]:
        """Time the writing of a checkpoint in this block, whether it succeeds or not."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._since = time.perf_counter()
            if self._seconds is None:
                low, high = INTERVAL_SECONDS
                self._between = min(max((self._since - begin) / COST_SHARE, low), high)


def config_fingerprint(config: TrainConfig) -> str:
    """Return a hash of a configuration's content, which identifies its training."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()


def write_checkpoint(path: Path, fingerprint: str, state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically: a crash leaves the old file or the new one.

    Args:
        path: the file; missing folders are created.
        fingerprint: identifies the training; `restore_checkpoint` must be given the same.
        state: tensors and plain values.

    Raises:
        OSError, RuntimeError: the file cannot be written (a full disk, for example); the old file stays.
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
    """Log a warning if a checkpoint cannot be written or removed in this block."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError
        reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
        logger.warning("%s: the checkpoint cannot be written (%s): the training continues without it.", path, reason)


def read_checkpoint(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any] | None:
    """Return the state written last; None if there is none to trust.

    A damaged file, or one of another training, is ignored with a logged warning: the training then starts anew.
    Nothing in the file is executed (`weights_only=True`). Its tensors are put on `device`.
    """
    try:
        if not path.exists():
            return None
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch's reader does not compare the archive's checksums
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} differs")
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # any damage has the same consequence
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
    parts: Mapping[str, nn.Module | Optimizer],
    read_rest: Callable[[Mapping[str, Any]], Rest],
) -> Rest | None:
    """Restore the parts of a training from its checkpoint, by name, or leave all of them as they are.

    Returns:
        The value of `read_rest` for the state. None, with a logged warning, if there is no state to trust or if it does
        not fit, since another version of this program wrote it.
    """
    state = read_checkpoint(path, fingerprint, device)
    if state is None:
        return None
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        rest = read_rest(state)
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except Exception as error:  # anything that does not fit
        logger.warning("%s: this checkpoint does not fit (%s): the training starts anew.", path, error)
        for name, part in parts.items():
            part.load_state_dict(before[name])
        return None
    return rest
