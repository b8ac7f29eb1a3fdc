"""Ray jobs: commands that run on a cluster's head with this package and outlive the program that submitted them."""

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ....trainers.child_process import ENVIRONMENT, PACKAGE
from ...addresses import find_secrets, redact
from ...errors import Unreachable
from .settings import QUIET, ray

IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in a program that runs as a job; its workers already have the job's packages."""

SHIPPED: Mapping[str, Any] = {"py_modules": [str(PACKAGE)], "env_vars": {**QUIET, **ENVIRONMENT}}
"""Runtime environment that brings this package to machines that may not have it."""


def runtime_environment() -> dict[str, Any]:
    """Return the runtime environment for a program's workers; empty in a job, whose workers inherit the job's."""
    return {} if IN_A_JOB in os.environ else dict(SHIPPED)


class Jobs:
    """Jobs of a cluster.

    Args:
        address: of the cluster's dashboard, such as http://HEAD:8265.

    Raises:
        Unreachable: nothing answers there, or the server does not accept jobs.
    """

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient

        for name in ("dashboard_sdk", "job.sdk"):
            logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)
        logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.ERROR)
        self._address = address
        os.environ.pop("RAY_ADDRESS", None)  # Ray would take it for the dashboard's address
        try:
            self._client: Any = JobSubmissionClient(address)
        except Exception as error:  # Ray, requests and aiohttp raise their own exceptions
            raise self._unreachable(error) from None

    def submit(self, command: str, folder: Path, *, name: str) -> str:
        """Start a command.

        Args:
            command: shell command line, run on the cluster's head in a copy of the folder.
            folder: sent along with the job.
            name: prefix of the job's identifier.

        Returns:
            The job's identifier.

        Raises:
            Unreachable: the cluster refused the job.
        """
        job = f"{name}-{uuid.uuid4().hex[:8]}"
        environment = {"working_dir": str(folder), **SHIPPED}
        try:
            return str(self._client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment))
        except Exception as error:
            raise self._unreachable(error) from None

    def follow(self, job: str, show: Callable[[str], None]) -> str:
        """Show a job's output until the job ends.

        Returns:
            Final status: "SUCCEEDED", "FAILED" or "STOPPED".

        Raises:
            Unreachable: the cluster was lost; the job may still run.
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
            f"--address {redact(self._address)}: the job could not be submitted to the cluster (Ray {ray.__version__} "
            f"here): {reason[:300]}. Give the address of the dashboard, http://HOST:8265 by default, of a cluster "
            "that was started with ray[default]"
        )


def ray_commands(address: str, job: str) -> Sequence[tuple[str, str]]:
    """Return useful commands for a job, each as (purpose, command)."""
    address = redact(address)
    return (
        ("show its output", f"ray job logs {job} --address {address} --follow"),
        ("show its status", f"ray job status {job} --address {address}"),
        ("stop it, to resume later", f"ray job stop {job} --address {address}"),
    )
