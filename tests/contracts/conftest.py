"""Data shared by the contract tests."""

from pathlib import Path

import pytest

from tests.trainers.data.files import first_pairs


@pytest.fixture(scope="session")
def few_pairs(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the first pairs of Multi30K: 500 to train on, 50 in each other part."""
    return first_pairs(data_folder, tmp_path_factory.mktemp("first_pairs"), 500, 50)
