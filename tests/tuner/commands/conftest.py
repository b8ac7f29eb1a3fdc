"""Fixtures for the tests of the commands."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.tuner.tiny_study import TinyStudyFolder
from zerotune.tuner.commands import page_files
from zerotune.tuner.reports import export
from zerotune.tuner.reports.figures.images import FORMATS


@pytest.fixture
def without_images(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Draw no images, which takes a browser and seconds; return the names of those that would have been drawn."""
    names: list[str] = []

    def write_images(
        figures: Mapping[str, object], to: Path, *, formats: Sequence[str] = FORMATS
    ) -> tuple[list[Path], None]:
        names.extend(f"{name}.{ending}" for name in figures for ending in formats)
        return [], None

    for module in (page_files, export):
        monkeypatch.setattr(module, "write_images", write_images)
    return names


@pytest.fixture
def tiny(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], without_images: list[str]
) -> TinyStudyFolder:
    """A current folder with the tiny study."""
    return TinyStudyFolder(tmp_path, monkeypatch, capsys)
