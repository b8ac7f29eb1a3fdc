"""Data and workers shared by the tests of several workers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from tests.trainers.data.files import first_pairs
from tests.trainers.distributed.trainings import APPLICATION_NAMES, APPLICATIONS_FILE, TwoWorkers
from zerotune.trainers.applications import APPLICATIONS, registry
from zerotune.trainers.applications.registry import register_application
from zerotune.trainers.applications.user_file import ApplicationFile

WORDS = [f"w{number}" for number in range(20)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ApplicationFile]]:
    """User applications by name."""
    path = tmp_path_factory.mktemp("application") / "narrow.py"
    path.write_text(APPLICATIONS_FILE, encoding="utf-8")
    found = {name: ApplicationFile(path=str(path), name=name, code=path.read_bytes()) for name in APPLICATION_NAMES}
    for file in found.values():
        register_application(file)
    yield found
    for name in APPLICATION_NAMES:
        del APPLICATIONS[name], registry._origins[name]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a text in PTB's layout: 61 windows of 5 words to train on."""
    folder = tmp_path_factory.mktemp("text")
    draw = torch.Generator().manual_seed(0)
    for part, num_words in (("train", 305), ("valid", 40), ("test", 40)):
        words = [WORDS[i] for i in torch.randint(len(WORDS), (num_words,), generator=draw).tolist()]
        (folder / f"ptb.{part}.txt").write_text(" ".join(words) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pairs_folder(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the first pairs of Multi30K; skip if GNMT's packages are missing."""
    return first_pairs(data_folder, tmp_path_factory.mktemp("pairs"), 101, 8)


@pytest.fixture(scope="module")
def workers(files: dict[str, ApplicationFile]) -> Iterator[TwoWorkers]:
    with closing(TwoWorkers(files)) as workers:
        yield workers
