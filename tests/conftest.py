"""Fixtures for all tests."""

import gc
import importlib.util
import os
import re
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.generated_images import write_image_folder
from zerotune.trainers.cores import num_cores


def define_missing_operators() -> torch.library.Library | None:
    """Allow importing torchvision where its operators cannot be loaded, such as a CUDA build on a CPU-only torch.

    At import torchvision registers shapes for two operators of object detection, and fails if torch does not know them.
    Models, transforms and folders need neither.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return None
    try:
        torch.ops.load_library(Path(spec.submodule_search_locations[0]) / "_C.so")
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None


ROOT = Path(__file__).parents[1]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
"""Let child processes import the tests' modules, which hold the functions that workers call."""

os.environ.pop("COLUMNS", None)  # of the terminal that starts the tests; pytest-xdist sets it too
os.environ.pop("MLFLOW_TRACKING_URI", None)  # of whoever starts the tests; it would be where studies are stored
gc.disable()  # until all tests are collected: what importing them makes stays
torch.set_num_threads(1)  # more threads slow down test-sized models, especially where tests share their cores

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # tests that were started in the background ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

TORCHVISION_OPERATORS = define_missing_operators()
"""Kept alive, since the operators are undefined with it."""


LONG_FIRST = ("tests/cluster/", "tests/tuner/execution/", "tests/tuner/", "tests/trainers/")
"""Folders of the slowest tests, which run first so that no process is left alone with them at the end."""


WITH_RAY = re.compile(r"\bmark\.ray\b|\bcluster\.nodes\b")
"""What a file's text contains if it has tests that start Ray."""


def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores, since tests with clusters and servers wait more than they compute."""
    return num_cores() + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m ray`, leave out files without such tests: importing all of them takes every process 20 CPU seconds."""
    if config.option.markexpr != "ray" or collection_path.suffix != ".py" or collection_path.name == "conftest.py":
        return None
    return WITH_RAY.search(collection_path.read_text(encoding="utf-8")) is None or None


def check_ray_files(items: list[pytest.Item]) -> None:
    """Check that `-m ray` leaves out none of these tests.

    Raises:
        pytest.UsageError: a test is marked in a way that `WITH_RAY` does not find.
    """
    for file in {item.path for item in items if item.get_closest_marker("ray")}:
        if not WITH_RAY.search(file.read_text(encoding="utf-8")):
            raise pytest.UsageError(f"{file}: has tests marked ray, but not the words `mark.ray`: write them there")


SHARING = (
    "tests/tuner/execution/ray/test_lost_mailbox.py",
    "tests/tuner/execution/test_every_driver.py",
    "tests/tuner/execution/test_odd_exceptions.py",
    "tests/tuner/execution/test_time_limit.py",
    "tests/tuner/execution/test_workers_per_trial.py",
    "tests/test_own_application_docs.py",
)
"""Files that use `shared_head`: unless Ray is left out, one process tests them, so that it starts one cluster only."""


OTHERS_A_CLUSTER = 4
"""Files without Ray that are tested between two with it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files by folder, and keep the order of tests within each.

    Tests with Ray wait half of the time, so they are spread among the others, which compute.
    """
    check_ray_files(items)

    def rank(item: pytest.Item) -> int:
        file = item.path.relative_to(item.config.rootpath).as_posix()
        return next((place for place, start in enumerate(LONG_FIRST) if file.startswith(start)), len(LONG_FIRST))

    items.sort(key=rank)
    with_ray = {item.path for item in items if item.get_closest_marker("ray")}
    places: dict[Path, int] = {}
    for file in dict.fromkeys(item.path for item in items):
        others = sum(known not in with_ray for known in places)
        places[file] = (len(places) - others) * OTHERS_A_CLUSTER if file in with_ray else others
    items.sort(key=lambda item: places[item.path])


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but never look again at what importing the tests made."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """When several processes share the tests, keep together those of a file, and of `SHARING` ones."""
    from xdist.scheduler import LoadScopeScheduling

    sharing = () if config.option.markexpr == "not ray" else SHARING

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = str(nodeid.split("::")[0])
            return SHARING[0] if file in sharing else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder with real data sets (mnist/, ...): $ZEROTUNE_DATA, else ../shared/data beside the project."""
    folder = Path(os.environ.get("ZEROTUNE_DATA") or Path(__file__).parents[1].parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}: set ZEROTUNE_DATA to one that holds mnist/")
    return folder


@pytest.fixture(scope="session")
def started_head() -> Iterator[SimpleNamespace]:
    """An embedded Ray cluster that no study stops, with room for two workers."""
    from zerotune.tuner.execution.ray.local_cluster import LocalHead

    head = LocalHead(max(2, num_cores()))
    yield SimpleNamespace(address=cache(head.address), stop=lambda: None, release=lambda: None)
    head.stop()


@pytest.fixture(scope="module")
def shared_head(started_head: SimpleNamespace) -> Iterator[None]:
    """Run this process's studies on that cluster; starting one for each takes seconds."""
    from zerotune.tuner.execution.ray import cluster, local_cluster

    with pytest.MonkeyPatch.context() as patch:
        for module in (cluster, local_cluster):
            patch.setattr(module, "take", lambda num_cpus: started_head)
        yield


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate a folder of JPEGs in ImageNet's layout: six classes, 30 images each in train/, 8 in val/."""
    pytest.importorskip("PIL", reason="Pillow is not installed: pip install 'zerotune[vision]'")
    return write_image_folder(tmp_path_factory.mktemp("images"))
