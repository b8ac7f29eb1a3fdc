"""The MLflow UI listens on loopback, and its links lead to a study's runs, comparison and figures."""

import pytest

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.small_stores import find_runs, open_store
from zerotune.tuner.errors import BadInput
from zerotune.tuner.store import ui_command, ui_links


def test_the_ui_listens_on_loopback_and_hides_the_address_from_the_process_list() -> None:
    uri = "postgresql://ann:secret@db/mlflow"
    argv, environment = ui_command(uri, 5123)
    assert argv[1:11] == ["-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "5123", "--workers", "1"]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == uri
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert ui_command(uri, 5123, "10.0.0.1")[0][5:7] == ["--host", "10.0.0.1"]
    with pytest.raises(BadInput, match="has its own UI"):
        ui_command("http://host:5000", 5123)


HOSTS = {
    "0.0.0.0": "http://127.0.0.1:1",
    "::": "http://127.0.0.1:1",
    "::1": "http://[::1]:1",
    "10.0.0.1": "http://10.0.0.1:1",
}
"""Addresses to listen on, and the hosts in their links."""


def test_the_links_lead_to_the_runs_a_comparison_and_the_figures(uri: str) -> None:
    store = open_store(uri)
    store.write(make_result("grid", 1, batch_size=512))
    for arm in ("grid", "date", "legw"):
        store.write(make_result(arm, 1))
    bases = {host: dict(ui_links(uri, "small", 1, host=host))["all runs"].partition("/#")[0] for host in HOSTS}
    assert bases == HOSTS
    links = dict(ui_links(uri, "small", 5123, ["grid", "date"]))
    labels = ["answer", "all runs", "confirmation runs", "compare date, grid at B=8,192", "figures and tables"]
    assert list(links) == labels
    training = "workflowType=machine_learning"
    runs_page = f"http://127.0.0.1:5123/#/experiments/2/runs?{training}"
    assert links["answer"] == f"{runs_page}&viewStateShareKey=zerotune-answer"
    assert links["all runs"] == f"{runs_page}&viewStateShareKey=zerotune"
    assert links["figures and tables"].endswith(f"/artifacts?{training}")
    parents = {
        run.data.tags["arm"]: run.info.run_id
        for run in find_runs(uri, "tags.batch_size = '8192' and tags.role = 'arm'")
    }
    compared = links["compare date, grid at B=8,192"]
    assert [parents[arm] in compared for arm in ("grid", "date", "legw")] == [True, True, False]
