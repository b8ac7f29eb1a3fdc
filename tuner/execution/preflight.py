"""What is found out on every machine of a cluster before the first trial: a study that cannot work there is not begun.

The check itself runs on the machine and knows no Ray; `tuner.execution.ray.attach` carries it there.
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
"""Packages whose version decides what a training gives."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What every machine must be able to load.

    Attributes:
        application: its name.
        data_source: name of one of its data sources.
        data_options: that source's options.
    """

    application: str
    data_source: str
    data_options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a machine is asked.

    Attributes:
        workload: what it must be able to load; None for nothing.
        data_folder: where its data are, or None for the source's own folder.
        application: the file of the user's own application, or None.
        probe: a file that the asking machine has written where checkpoints go, or None.
    """

    workload: Workload | None
    data_folder: str | None
    application: ApplicationFile | None
    probe: str | None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a machine answers.

    Attributes:
        host: its name.
        problem: why no trial could run there, one sentence; None where one could.
        versions: of Python and of `PACKAGES`.
        sees_checkpoints: whether it reads what the asking machine writes where checkpoints go.
    """

    host: str
    problem: str | None
    versions: Mapping[str, str]
    sees_checkpoints: bool


def local_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a training gives."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def inspect_machine(inspection: Inspection) -> Findings:
    """Looks at the machine it is called on."""
    return Findings(
        host=socket.gethostname(),
        problem=find_problem(inspection),
        versions=local_versions(),
        sees_checkpoints=inspection.probe is None or Path(inspection.probe).is_file(),
    )


def find_problem(inspection: Inspection) -> str | None:
    """Why no trial could run on this machine, one sentence; None where one could."""
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
    """What is worth knowing of machines that can run trials.

    Args:
        findings: by the machine's address.

    Raises:
        BadInput: a trial could not run on one of them; all such machines are named.
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
            f"Checkpoints are not shared with {', '.join(blind)}: a trial that another machine takes over begins anew. "
            "A --store on storage that all machines have would keep them"
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
