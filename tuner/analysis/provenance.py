"""Provenance of results: definition, versions, commit and machine, so that a verdict can be reproduced."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...trainers.applications.registry import application_digest
from ...trainers.child_process import PACKAGE
from ...trainers.energy_meter import describe_meter
from ...trainers.flops_and_memory import device_model
from ..study import Study
from ..study.stored import read_definition

PACKAGES = ("zerotune", "torch", "numpy", "scipy", "ray", "optuna", "mlflow")
BEGUN_AT = "begun_at"

TRAINING_PACKAGES = (
    *("torch", "numpy", "mlxtend", "torchvision", "timm", "pillow", "tokenizers", "sacrebleu"),
    *("schedulefree", "prodigyopt", "dadaptation", "dog-optimizer"),
)
"""Packages that trainings use: for applications, data sources and optimizers."""
TRAINING_SOURCES = ("trainers", "tuner/execution", "tuner/cost.py")
"""Source files of zerotune that train and bill, relative to its folder."""
TRAINED_WITH = ("training.code", "training.packages", "training.data", "training.resources")
"""Keys of a session that describe what its trainings were made with."""

REMARKS = "application.remarks"
"""Key of a session that holds the sanity check's remarks on a user application, one a line."""

_NOT_INSTALLED = "not installed"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Origin of a comparison.

    Attributes:
        definition: the study's resolved definition, plain JSON values.
        fingerprint: of it, hexadecimal.
        sessions: what programs and machines drove the study, in order, each as `collect_provenance` gives it; empty
            where the store does not say.
        command: rebuilds the report from the store.
    """

    definition: Mapping[str, Any]
    fingerprint: str
    sessions: tuple[Mapping[str, str], ...]
    command: str

    @cached_property
    def study(self) -> Study:
        """The study that `definition` states.

        Raises:
            BadInput: the definition is damaged, or this version of zerotune cannot read it.
        """
        version = self.sessions[-1].get("version.zerotune", "") if self.sessions else ""
        return read_definition(self.definition, version=version)


def collect_provenance() -> dict[str, str]:
    """Return package versions, the git commit of the source, this machine and the time, as flat text."""
    facts = {BEGUN_AT: datetime.now(UTC).isoformat(timespec="seconds")}
    facts |= {f"version.{name}": _version(name) for name in PACKAGES}
    facts["python"] = platform.python_version()
    facts["platform"] = platform.platform()
    facts["cpu"] = device_model("cpu")
    facts["cpu_energy_meter"] = describe_meter("cpu")
    facts["cpu_cores"] = str(os.cpu_count())
    commit = _git("rev-parse", "HEAD")
    if commit:
        facts["git.commit"] = commit
        facts["git.dirty"] = str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower()
    return facts


def is_same_program(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether two sessions differ only in their time.

    >>> is_same_program({"python": "3.11.9", "begun_at": "2026-01-01"}, {"python": "3.11.9"})
    True
    """
    return {**one, BEGUN_AT: ""} == {**other, BEGUN_AT: ""}


def training_provenance(study: Study, data: str | None) -> dict[str, str]:
    """Return what a session's trainings are made with besides their configurations, as flat text by `TRAINED_WITH`.

    Args:
        study: the definition; its application's code counts where that is not ours, and what a trial holds.
        data: identifies the data, as `trainers.data.identity` does; None where nothing does.
    """
    code = hashlib.sha256((application_digest(study.application) or "").encode())
    for place in TRAINING_SOURCES:
        path = PACKAGE / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            code.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    packages = [f"{name} {found}" for name in TRAINING_PACKAGES if (found := _version(name)) != _NOT_INSTALLED]
    resources = study.resources
    workers = "" if resources.workers_per_trial == 1 else f"{resources.workers_per_trial} workers with each "
    threads = f"{resources.cpus_per_trial} CPU threads"
    holds = f"{workers}{threads}, {resources.gpus_per_trial:g} GPUs, packing {resources.packing}"
    facts = (code.hexdigest()[:16], ", ".join(packages), data or "", holds)
    return dict(zip(TRAINED_WITH, facts, strict=True))


def remarks_record(remarks: Iterable[str]) -> dict[str, str]:
    """Return remarks on an application as a session keeps them; empty if there are none."""
    text = "\n".join(remarks)
    return {REMARKS: text} if text else {}


def is_same_training(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether a configuration gives the same scores and costs the same in two sessions, were both on one device.

    The code that trains, the packages it rests on, the data and what a trial holds (threads and packs change rounding
    and seconds) must be the same, and all of them known. Whatever else differs does not matter: study, commit,
    Python's version, the kernel, the versions of Ray, MLflow and Optuna.

    >>> one = {**dict.fromkeys(TRAINED_WITH, "same"), "python": "3.11.9"}
    >>> is_same_training(one, {**one, "python": "3.11.7"}), is_same_training(one, {**one, "training.data": "other"})
    (True, False)
    >>> is_same_training(unknown := {**one, "training.data": ""}, unknown)
    False
    """
    return all(one.get(fact) and one.get(fact) == other.get(fact) for fact in TRAINED_WITH)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _NOT_INSTALLED


def _git(*arguments: str) -> str:
    """Return the output of git in the source folder; empty if that is no checkout."""
    folder = (PACKAGE / "tuner").resolve().parent  # of a checkout; elsewhere the package itself
    if not (folder / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
