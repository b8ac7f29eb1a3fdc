"""A training's progress in one file: written whole or not at all, read only where it is intact and the training's own.

This module must not know what the state means.
"""

import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)


def write_checkpoint(path: Path, fingerprint: str, state: Mapping[str, Any]) -> None:
    """Replaces the file at `path`; a crash leaves the old one or the new one, never a mixture.

    Args:
        path: the file; its folder is made where it is missing.
        fingerprint: names the training; `read_checkpoint` must be given the same.
        state: tensors and plain values.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        torch.save({"fingerprint": fingerprint, "state": dict(state)}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_checkpoint(path: Path, fingerprint: str, device: torch.device) -> dict[str, Any] | None:
    """The state written last, or None where there is none to trust.

    A damaged file, or one of another training, is left out with a logged warning: the training then starts anew.
    Nothing in the file is executed (`weights_only=True`).

    Args:
        path: the file.
        fingerprint: the training it must belong to.
        device: where its tensors shall lie.
    """
    if not path.exists():
        return None
    try:
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
