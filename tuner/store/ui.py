"""The MLflow UI of a store: the command that starts it, and direct links, because its start page shows no runs."""

import json
import os
import shlex
import sysconfig
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...trainers.child_process import ENVIRONMENT, command_of
from ..addresses import redact
from ..errors import BadInput
from . import record
from .connection import artifact_location, connect, is_server, search_all_runs, translate_errors, without_credentials
from .locked import waits_while_locked
from .owner import journal_of
from .reader import find_experiment, find_study_run
from .views import ALL_VIEW, ANSWER_VIEW, CONFIRMED_VIEW, TRAINING

if TYPE_CHECKING:
    from mlflow.entities import Run


HOST = "127.0.0.1"
ALL_ADDRESSES = ("0.0.0.0", "::")
"""Hosts that mean listening on every address of the machine."""


def ui_command(tracking_uri: str, port: int, host: str = HOST) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves a database's UI, and its environment.

    The store's address is passed in the environment, because arguments are visible to every user of the machine.
    MLflow's job runners (about ten processes) and its telemetry are turned off.

    Args:
        tracking_uri: `sqlite:///FILE` or a database.
        host: address to listen on. MLflow does not ask for a password, so everyone who can reach it has access.

    Raises:
        BadInput: the address is a server, which has its own UI.
    """
    if is_server(tracking_uri):
        raise BadInput(f"{redact(tracking_uri)} is an MLflow server and has its own UI: open it in a browser")
    argv = [*command_of("mlflow"), "server", "--host", host, "--port", str(port), "--workers", "1"]
    # uvicorn would put the current folder first on the import path; the standard library is at its start anyway
    argv += ["--uvicorn-opts", shlex.join(["--app-dir", sysconfig.get_path("stdlib")])]
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    location = artifact_location(tracking_uri)
    if location:
        environment["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = location
    return argv, environment


@waits_while_locked
def ui_links(
    tracking_uri: str,
    study_name: str,
    port: int,
    arms: Sequence[str] = (),
    host: str = HOST,
    journal: str | None = None,
) -> list[tuple[str, str]]:
    """Return labelled direct links into the UI: the answer, the study's runs, the arms compared, the figures.

    Args:
        tracking_uri: address of the store. The links start with a server's own address without its credentials, or else
            with `host` and `port`.
        arms: arms to compare, such as the reference and a zero-tuning arm; empty for all. Their runs are compared at
            the largest batch size that at least two of them have.
        port, host: those given to `ui_command`.
        journal: identity of the journal whose runs to compare; None for the one started last.

    Raises:
        BadInput: the store or study does not exist.
        Unreachable: the store does not answer.
    """
    client = connect(tracking_uri, create=False)
    experiment_id = find_experiment(client, tracking_uri, study_name)
    with translate_errors(tracking_uri, f"list the runs of {study_name!r}"):
        arm_runs = search_all_runs(client, experiment_id, f"tags.role = '{record.ROLE_ARM}'")
        study_runs = search_all_runs(client, experiment_id, f"tags.role = '{record.ROLE_STUDY}'")
    named = HOST if host in ALL_ADDRESSES else f"[{host}]" if ":" in host else host
    base = f"{without_credentials(tracking_uri) if is_server(tracking_uri) else f'http://{named}:{port}'}/#"
    runs_page = f"{base}/experiments/{experiment_id}/runs"
    views = {"answer": ANSWER_VIEW, "all runs": ALL_VIEW, "confirmation runs": CONFIRMED_VIEW}
    links = [(label, f"{runs_page}?{TRAINING}&viewStateShareKey={view}") for label, view in views.items()]
    if not study_runs:
        return links
    study = find_study_run(study_runs, journal)
    by_arm = _largest_comparison(arm_runs, study, arms)
    if by_arm:
        runs = quote(json.dumps([run.info.run_id for run in by_arm.values()], separators=(",", ":")))
        query = f"runs={runs}&experiments={quote(json.dumps([experiment_id]))}&{TRAINING}"
        batch_size = next(iter(by_arm.values())).data.tags["batch_size"]
        links.append((f"compare {', '.join(by_arm)} at B={int(batch_size):,}", f"{base}/compare-runs?{query}"))
    links.append(("figures and tables", f"{runs_page}/{study.info.run_id}/artifacts?{TRAINING}"))
    return links


def _largest_comparison(arm_runs: "Sequence[Run]", study: "Run", arms: Sequence[str]) -> "dict[str, Run]":
    """Return the runs of a study's arms at the largest batch size that has two, the reference first; else nothing."""
    whose = study.data.tags[record.TAG_FINGERPRINT], journal_of(study.data.tags)
    by_batch_size: dict[int, dict[str, Run]] = {}
    for run in arm_runs:
        tags = run.data.tags
        if (tags[record.TAG_FINGERPRINT], journal_of(tags)) == whose and (not arms or tags["arm"] in arms):
            by_batch_size.setdefault(int(tags["batch_size"]), {})[tags["arm"]] = run
    comparable = [batch_size for batch_size, by_arm in by_batch_size.items() if len(by_arm) >= 2]
    if not comparable:
        return {}
    reference = json.loads(record.join_text(record.TAG_DEFINITION, study.data.tags) or "{}").get("reference")
    by_arm = by_batch_size[max(comparable)]
    return {arm: by_arm[arm] for arm in sorted(by_arm, key=lambda arm: (arm != reference, arm))}
