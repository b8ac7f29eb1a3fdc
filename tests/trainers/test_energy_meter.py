"""Energy readings of stand-ins for sysfs and NVML are right, or None."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.trainers.small_trainings import LENET
from zerotune.trainers import energy_meter, loop
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.energy_meter import (
    Counter,
    MeterMissingError,
    Reading,
    describe_meter,
    joules_between,
    package_counters,
    read_energy,
)
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import Placement, ScheduleSpec

RANGE = 262_143_328_850
"""max_energy_range_uj of a real Intel server: 2^32 units of 61 microjoules."""
CPU = torch.device("cpu")


def zone(powercap: Path, folder: str, name: str, energy: int | str = 0, turn: int = RANGE) -> Path:
    path = powercap / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{turn}\n")
    return path


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Return the sysfs tree of a machine with two packages as Linux shows it: flat, mixed with subzones and other
    zones.
    """
    (tmp_path / "intel-rapl").mkdir()
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 3_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 99_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 4_999_000)
    zone(tmp_path, "dtpm:0", "dtpm", 1)
    return tmp_path


def reading(seconds: float, *counters: tuple[str, int, int | None]) -> Reading:
    return Reading(
        seconds=seconds,
        counters=tuple(Counter(name=name, microjoules=value, range_microjoules=turn) for name, value, turn in counters),
    )


def package(seconds: float, microjoules: int, turn: int | None = RANGE) -> Reading:
    return reading(seconds, ("package-0", microjoules, turn))


# -- readings ----------------------------------------------------------------------------------------------------------


def test_every_package_is_read_once_and_nothing_else(server: Path) -> None:
    assert package_counters(server) == [
        Counter(name="package-0", microjoules=5_000_000, range_microjoules=RANGE),
        Counter(name="package-1", microjoules=7_000_000, range_microjoules=RANGE),
    ]


def test_a_machine_without_the_tree_says_so(tmp_path: Path) -> None:
    with pytest.raises(MeterMissingError, match="nowhere: No such file or directory"):
        package_counters(tmp_path / "nowhere")


def test_a_tree_without_packages_says_so(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "psys", 1)
    with pytest.raises(MeterMissingError, match="holds no processor package"):
        package_counters(tmp_path)


@pytest.mark.parametrize("file", ["name", "energy_uj", "max_energy_range_uj"])
def test_one_missing_counter_makes_the_reading_unknown(server: Path, file: str) -> None:
    """One of two packages does not cover the machine."""
    (server / "intel-rapl:1" / file).unlink()
    with pytest.raises(MeterMissingError, match=rf"intel-rapl:1/{file} cannot be read \(No such file or directory\)"):
        package_counters(server)


def test_one_unreadable_counter_makes_the_reading_unknown(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since CVE-2020-8694 only root can read counters. File permissions would not stop tests that run as root."""
    read_text = Path.read_text

    def guarded(self: Path, *args: object, **kwargs: object) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", guarded)
    with pytest.raises(MeterMissingError, match=r"intel-rapl:0/energy_uj cannot be read \(Permission denied\)"):
        package_counters(server)


@pytest.mark.parametrize("content", ["", "-5", "many", "1.5", "\xff"])
def test_one_counter_that_is_no_number_makes_the_reading_unknown(server: Path, content: str) -> None:
    (server / "intel-rapl:0" / "energy_uj").write_text(content, encoding="latin-1")
    with pytest.raises(
        MeterMissingError, match=r"intel-rapl:0/energy_uj (holds no number|cannot be read \(not text\))"
    ):
        package_counters(server)


def test_a_device_of_another_kind_has_no_meter() -> None:
    assert read_energy(torch.device("meta")) is None
    assert describe_meter("meta") == "none: no energy meter of a device of kind 'meta' is known"


# -- between two readings ----------------------------------------------------------------------------------------------


def test_packages_add_up_in_joules() -> None:
    begin = reading(0.0, ("package-0", 1_000_000, RANGE), ("package-1", 5, RANGE))
    end = reading(1.0, ("package-0", 21_000_000, RANGE), ("package-1", 10_000_005, RANGE))
    assert joules_between(begin, end) == pytest.approx(30.0, rel=1e-12)


def test_a_counter_may_wrap_around_once() -> None:
    assert joules_between(package(0.0, RANGE - 2_000_000), package(1.0, 3_000_000)) == pytest.approx(5.0, rel=1e-12)


def test_an_interval_in_which_a_counter_may_have_wrapped_twice_is_unknown() -> None:
    """One kilowatt draws 262 kJ in 262 seconds."""
    assert joules_between(package(0.0, 0), package(262.0, 1_000_000)) == pytest.approx(1.0, rel=1e-12)
    assert joules_between(package(0.0, 0), package(263.0, 1_000_000)) is None


def test_a_counter_without_a_range_never_wraps() -> None:
    assert joules_between(package(0.0, 0, None), package(1e6, 9_000_000, None)) == pytest.approx(9.0, rel=1e-12)
    assert joules_between(package(0.0, 9, None), package(1.0, 0, None)) is None  # the counter was reset


def test_a_difference_of_other_or_missing_counters_is_unknown() -> None:
    assert joules_between(package(0.0, 0), reading(1.0, ("package-1", 5, RANGE))) is None
    assert joules_between(package(0.0, 0), None) is None
    assert joules_between(None, package(0.0, 0)) is None


# -- NVML --------------------------------------------------------------------------------------------------------------


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand in for pynvml with one GPU that has drawn 1,234 millijoules."""
    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: {"GPU-0123-abc": "handle"}[uuid],
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"handle": 1_234}[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    properties = SimpleNamespace(uuid="0123-abc", name="Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: {1: properties}[index])
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    energy_meter._gpu.cache_clear()
    yield fake
    energy_meter._gpu.cache_clear()


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_is_found_by_its_uuid_and_read_in_millijoules(nvml: SimpleNamespace, device: str) -> None:
    found = read_energy(torch.device(device))
    assert found is not None
    assert found.counters == (Counter(name="Some GPU", microjoules=1_234_000, range_microjoules=None),)
    assert describe_meter(device) == "Some GPU"


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_gpu_that_nvml_cannot_read_has_no_meter(nvml: SimpleNamespace, function: str) -> None:
    def refuse(*_: object) -> None:
        raise NVMLError("Not Supported")

    setattr(nvml, function, refuse)
    assert read_energy(torch.device("cuda:1")) is None
    assert "Not Supported" in describe_meter("cuda:1")


def test_without_nvidias_package_a_gpu_has_no_meter(nvml: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert read_energy(torch.device("cuda:1")) is None
    assert describe_meter("cuda:1") == "none: the package nvidia-ml-py is not installed"


# -- in a training -----------------------------------------------------------------------------------------------------

CONFIG = replace(LENET, batch_size=3_000, epochs=3, schedule=ScheduleSpec(peak_lr=0.01))


class Drawing:
    """Read a package that draws 10 J between two readings; the `missing` readings, numbered from 0, fail."""

    def __init__(self, missing: tuple[int, ...] = ()) -> None:
        self._missing = missing
        self._number = -1

    def __call__(self, device: torch.device) -> Reading | None:
        self._number += 1
        return None if self._number in self._missing else package(0.001 * self._number, 10_000_000 * self._number)


def test_setup_and_every_epoch_get_the_trainings_fraction_of_the_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "read_energy", Drawing())
    training = Training(CONFIG, Placement(energy_share=0.25))
    epochs = [training.run_epoch() for _ in range(3)]
    assert [training.result().setup_joules, *(epoch.measured_joules for epoch in epochs)] == [2.5] * 4


def test_only_the_epoch_without_a_counter_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "read_energy", Drawing(missing=(5,)))  # at the end of the second epoch
    training = Training(CONFIG, Placement())
    assert [training.run_epoch().measured_joules for _ in range(3)] == [10.0, None, 10.0]


def test_a_resumed_training_has_the_energy_of_both_attempts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loop, "read_energy", Drawing())
    placement = Placement(checkpoint=str(tmp_path / "checkpoint.pt"), checkpoint_seconds=0.0)
    first = Training(CONFIG, placement)
    first.run_epoch()
    second = Training(CONFIG, placement)
    while not second.finished:
        second.run_epoch()
    result = second.result()
    assert (result.resumed_epochs, result.setup_joules) == (1, 20.0)
    assert result.setup_seconds > first.result().setup_seconds
    assert [epoch.measured_joules for epoch in result.epochs] == [10.0] * 3


def test_communicated_words_are_parameters_times_updates() -> None:
    training = Training(CONFIG, Placement())
    metrics = training.run_epoch()
    num_parameters = sum(p.numel() for p in APPLICATIONS["lenet_mnist"].build_model().parameters())
    assert metrics.words == num_parameters * metrics.iterations
