"""The public names of `zerotune.trainers`: each exists, and importing the package does not import torch."""

import subprocess
import sys

import pytest

from zerotune import trainers


@pytest.mark.parametrize("name", dir(trainers))
def test_a_public_name_is_importable(name: str) -> None:
    assert getattr(trainers, name) is not None


def test_the_main_names_are_public() -> None:
    main = {"train", "TrainConfig", "ScheduleLR", "Baseline", "OptimizerSpec", "ScheduleSpec", "Application", "Dataset"}
    assert main <= set(dir(trainers))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        trainers.no_such_name  # noqa: B018


def test_importing_the_package_imports_no_torch() -> None:
    program = "import sys; from zerotune import trainers; dir(trainers); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_specification_imports_no_torch() -> None:
    program = "import sys; from zerotune.trainers import TrainConfig; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
