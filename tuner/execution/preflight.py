"""Check every machine of a cluster before the first trial, so that no study starts that cannot run there.

The check runs on the machine itself and must not know Ray; `tuner.execution.ray.attach` sends it there.
"""

import importlib.metadata
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.failure import ApplicationError
from ...trainers.applications.registry import find_application, register_application
from ...trainers.applications.user_file import ApplicationFile
from ...trainers.data import DataError
from ...trainers.spec import OptionValue
from ..errors import BadInput

PACKAGES = ("torch", "numpy")
"""Packages whose versions affect the scores of a training."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The application and the data source, both by name, that every machine must be able to load."""

    application: str
    data_source: str
    data_options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What to check on a machine.

    Attributes:
        workload: what the machine must be able to load; None for nothing.
        data_folder: folder of the data, or None for the source's default folder.
        application: the user application's file, or None.
        probe: a file that this program has written to the checkpoint folder, or None.
    """

    workload: Workload | None
    data_folder: str | None
    application: ApplicationFile | None
    probe: str | None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Result of a machine's check.

    Attributes:
        host: name of the machine.
        problem: why no trial can run there, in one sentence; None if one can.
        versions: of Python and of `PACKAGES`.
        sees_checkpoints: whether the machine shares the checkpoint folder with this program.
    """

    host: str
    problem: str | None
    versions: Mapping[str, str]
    sees_checkpoints: bool


def local_versions() -> dict[str, str]:
    """Return the versions of Python and of `PACKAGES` on this machine."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def inspect_machine(inspection: Inspection) -> Findings:
    """Check the machine that this function runs on."""
    return Findings(
        host=socket.gethostname(),
        problem=find_problem(inspection),
        versions=local_versions(),
        sees_checkpoints=inspection.probe is None or Path(inspection.probe).is_file(),
    )


def find_problem(inspection: Inspection) -> str | None:
    """Return why no trial can run on this machine, in one sentence; None if one can."""
    workload = inspection.workload
    if workload is None:
        return None
    try:
        if inspection.application is not None:
            register_application(inspection.application)
        find_application(workload.application)
        application = APPLICATIONS[workload.application]
        for sentence in application.missing_packages():
            return f"application {workload.application!r}: {sentence}"
        application.data_sources[workload.data_source].count(inspection.data_folder, workload.data_options)
    except (ApplicationError, DataError, OSError) as error:
        return str(error)
    return None


def check_findings(findings: Mapping[str, Findings]) -> Sequence[str]:
    """Return notes about the machines of a cluster, given by address, one sentence each.

    Raises:
        BadInput: no trial can run on one of them; the message names all such machines.
    """
    unfit = [f"  {_name_machine(node, found)}: {found.problem}" for node, found in findings.items() if found.problem]
    if unfit:
        raise BadInput(
            f"{len(unfit)} of {len(findings)} machines of the cluster cannot run this study:\n" + "\n".join(unfit)
        )
    notes = []
    blind = [_name_machine(node, found) for node, found in findings.items() if not found.sees_checkpoints]
    if blind:
        notes.append(
            f"Checkpoints are not shared with {', '.join(blind)}: a trial that moves to another machine starts "
            "over. To keep them, put --store on storage that all machines share"
        )
    here = local_versions()
    for node, found in findings.items():
        other = [f"{name} {v} (here {here[name]})" for name, v in found.versions.items() if v != here[name]]
        if other:
            notes.append(
                f"{_name_machine(node, found)} has {', '.join(other)}: scores may differ from those of other machines"
            )
    return notes


def _name_machine(node: str, found: Findings) -> str:
    return node if node == found.host else f"{node} ({found.host})"
