"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real data sets (mnist/, ...): $ZEROTUNE_DATA, else ../shared/data beside the project."""
    folder = Path(os.environ.get("ZEROTUNE_DATA") or Path(__file__).parents[1].parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}: set ZEROTUNE_DATA to one that holds mnist/")
    return folder
