"""Ray jobs: a command that runs on a cluster's head, with this package, whatever becomes of who submitted it."""

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from ....trainers.child_process import ENVIRONMENT, PACKAGE
from ...addresses import find_secrets, redact
from ...errors import Unreachable
from .settings import QUIET, ray

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray where a program runs as a job: its workers have the job's packages already."""


def package_folders() -> list[str]:
    """The folder of this package, to be shipped to machines that may not have it."""
    return [str(PACKAGE)]


def runtime_environment() -> dict[str, Any]:
    """The runtime environment of a program's workers; a job's own is theirs already."""
    return {} if IN_A_JOB in os.environ else {"py_modules": package_folders(), "env_vars": {**QUIET, **ENVIRONMENT}}


class Jobs:
    """The jobs of a cluster.

    Args:
        address: of its dashboard, such as http://HEAD:8265.

    Raises:
        Unreachable: nothing answers there, or what answers takes no jobs.
    """

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient

        for name in ("dashboard_sdk", "job.sdk"):
            logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)
        logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.ERROR)
        self._address = address
        os.environ.pop("RAY_ADDRESS", None)  # it would be taken for the dashboard's
        try:
            self._client: Any = JobSubmissionClient(address)
        except Exception as error:  # Ray, requests and aiohttp raise their own
            raise self._unreachable(error) from None

    def submit(self, command: str, folder: Path, *, name: str) -> str:
        """Starts a command.

        Args:
            command: a line for the shell of the cluster's head, run in a copy of the folder.
            folder: what is sent along.
            name: what the job's identifier begins with.

        Returns:
            The job's identifier.

        Raises:
            Unreachable: the cluster refused it.
        """
        job = f"{name}-{uuid.uuid4().hex[:8]}"
        variables = {**QUIET, **ENVIRONMENT}
        environment = {"working_dir": str(folder), "py_modules": package_folders(), "env_vars": variables}
        try:
            return str(self._client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment))
        except Exception as error:
            raise self._unreachable(error) from None

    def follow(self, job: str, show: Callable[[str], None]) -> str:
        """Shows what a job writes until it ends.

        Returns:
            How it ended: "SUCCEEDED", "FAILED" or "STOPPED".

        Raises:
            Unreachable: the cluster went away; the job may go on.
        """

        async def tail(lines: AsyncIterator[str]) -> None:
            async for line in lines:
                show(line)

        try:
            asyncio.run(tail(self._client.tail_job_logs(job)))
            return str(self._client.get_job_status(job).value)
        except Exception as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = " ".join(str(error).split())
        for secret in find_secrets(self._address):
            reason = reason.replace(secret, "***")
        return Unreachable(
            f"--address {redact(self._address)}: no job could be given to the cluster (Ray {ray.__version__} here): "
            f"{reason[:300]}. "
            "It must be the address of the dashboard, http://HOST:8265 by default, of a cluster that was started with "
            "ray[default]"
        )


def ray_commands(address: str, job: str) -> Sequence[tuple[str, str]]:
    """What a user may want to do with a job, and how."""
    address = redact(address)
    return (
        ("what it says", f"ray job logs {job} --address {address} --follow"),
        ("how it stands", f"ray job status {job} --address {address}"),
        ("end it, to go on later", f"ray job stop {job} --address {address}"),
    )
