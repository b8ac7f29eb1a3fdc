"""What the command line refuses: each error has an exit code and one clear sentence."""

import os
import re
import socket
import threading

import pytest

from tests.tuner.tiny_study import DEAD, STUDY, TinyStudyFolder


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "quickstrat"], "no study file or shipped study 'quickstrat': did you mean 'quickstart'?"),
        (["plan", "nowhere/x.yaml"], "no study file or shipped study 'nowhere/x.yaml'"),
        (["run", "folder"], "folder: a folder, not a study file"),
        (["plan", "binary.yaml"], "binary.yaml:1: not UTF-8 text"),
        (["plan", ""], "no study file or shipped study ''"),
        (["run", "tiny.yaml", "--store", "binary.yaml"], "binary.yaml/tiny: the study's folder cannot be written"),
        (["run", "tiny.yaml", "--address", "auto", "--driver", "serial"], "--address has no effect with"),
        (["compare", "tiny"], "mlruns/mlflow.db: run a study first"),
        (["compare", "tiny.yaml", "--store", "binary.yaml"], "run a study first"),
        (["export", "tiny", "--to", "figures"], "mlruns/mlflow.db: run a study first"),
        (["ui", "tiny"], "mlruns/mlflow.db: run a study first"),
        (["compare", "tiny", "--tracking-uri", "./mlruns"], "tracking URI './mlruns': it must be sqlite:///FILE"),
        (["compare", "tiny", "--tracking-uri", "http://a:secret@h:x"], "'http://***@h:x': its host or port"),
        (["compare", "tiny", "--tracking-uri", "http://a:se/cret@h"], "'http://***@h': its host or port"),
        (["compare", "tiny", "--tracking-uri", "http://[::1"], "tracking URI 'http://[::1': its host or port"),
        (["compare", "tiny", "--tracking-uri", "http://a..b:5000"], "'http://a..b:5000': its host or port"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tiny: TinyStudyFolder, words: list[str], sentence: str) -> None:
    (tiny.folder / "folder").mkdir()
    (tiny.folder / "binary.yaml").write_bytes(bytes(range(128, 256)))
    refusal = tiny.refuse(*words)
    assert sentence in refusal
    assert "secret" not in refusal
    assert refusal.count("\n") == 1


def test_a_user_without_a_home_folder_is_told_to_set_one(
    tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    refusal = tiny.refuse("compare", "tiny")
    assert refusal.startswith("error: HOME is not set, and the user with the id 2147483641 is unknown here: set it to")


SUBMIT = ("submit", "tiny.yaml", "--store", "/store")


@pytest.mark.parametrize(
    ("address", "tracking_uri", "sentence"),
    [
        ("http://[x", "http://h", "--address http://[x: its host or port is not one"),
        ("http://a..b:8265", "http://h", "--address http://a..b:8265: its host or port is not one"),
        ("http://h:x", "http://h", "--address http://h:x: its host or port is not one"),
        ("http://h", "http://[x", "--tracking-uri http://[x: its host or port is not one"),
        ("ray://secret@h:10001", "http://h", "--address ray://***@h:10001: a job goes to the cluster's dashboard"),
    ],
)
def test_an_address_that_is_none_is_not_submitted_to(
    tiny: TinyStudyFolder, address: str, tracking_uri: str, sentence: str
) -> None:
    refusal = tiny.refuse(*SUBMIT, "--address", address, "--tracking-uri", tracking_uri)
    assert sentence in refusal
    assert refusal.count("\n") == 1
    assert "secret" not in refusal


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:secret@h/db",
        "postgresql://ann:se/cret@h/db",
        "postgresql://h/db?password=secret",
        "postgresql://h/db?sslpassword=secret",
        "http://secret@h",
        "http://h?api_key=secret",
        "mssql+pyodbc:///?odbc_connect=UID%3Dann%3BPWD%3Dsecret",
    ],
)
def test_credentials_do_not_go_into_the_command_of_a_job(tiny: TinyStudyFolder, uri: str) -> None:
    refusal = tiny.refuse(*SUBMIT, "--address", f"http://{DEAD}", "--tracking-uri", uri)
    assert "--tracking-uri: holds credentials, which everybody on the cluster could read" in refusal
    assert "secret" not in refusal


def test_credentials_of_a_dashboard_are_not_shown(tiny: TinyStudyFolder) -> None:
    refusal = tiny.refuse(*SUBMIT, "--address", f"http://ann:secret@{DEAD}", code=4)
    assert f"--address http://***@{DEAD}: the job could not be submitted to the cluster" in refusal
    assert "secret" not in refusal


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("epochs: 1", "epochs: [1", "not valid YAML"),
        ("epochs: 1", "epoch: 1", "tiny.yaml:6: epoch: unknown key 'epoch': did you mean 'epochs'?"),
        ("low: 0.01, high: 0.3", "low: 1.6, high: 0.1", "low must be below high, got low=1.6, high=0.1"),
        ("lr: 0.01}", "lr: 0.01, warmup_epochs: 5}", "would outlast the run"),
    ],
)
def test_a_mistake_in_a_study_is_named_with_its_line(tiny: TinyStudyFolder, old: str, new: str, sentence: str) -> None:
    tiny.study.write_text(STUDY.replace(old, new, 1), encoding="utf-8")
    refusal = tiny.refuse("plan", "tiny.yaml")
    assert sentence in refusal
    assert all(re.match(r"(error: )?tiny\.yaml:\d+: ", line) for line in refusal.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["run", "tiny.yaml", "--frobnicate"],
        ["run"],
        ["frobnicate"],
        ["run", "tiny.yaml", "--driver", "slurm"],
        ["export", "tiny", "--to", "x", "--cost", "money"],
        ["ui", "tiny", "--port", "99999"],
        ["list", "colours"],
        ["report", "tiny", "--format", "pdf"],
    ],
)
def test_a_wrong_command_line_exits_with_2(tiny: TinyStudyFolder, words: list[str]) -> None:
    assert "Usage: zerotune" in tiny.refuse(*words)


def test_missing_data_are_named(tiny: TinyStudyFolder) -> None:
    tiny.study.write_text(STUDY.replace("mnist5k", "mnist"), encoding="utf-8")
    assert "nowhere: no such folder" in tiny.refuse("run", "tiny.yaml", "--driver", "serial", "--data", "nowhere")


@pytest.mark.parametrize("words", [["compare", "tiny"], ["ui", "tiny"], ["report", "tiny"]])
def test_a_store_that_does_not_answer_exits_with_4_and_keeps_the_password(
    tiny: TinyStudyFolder, words: list[str]
) -> None:
    refusal = tiny.refuse(*words, "--tracking-uri", f"http://ann:secret@{DEAD}", code=4)
    assert f"the MLflow store at http://***@{DEAD} did not answer" in refusal
    assert "secret" not in refusal


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        (DEAD, 4, f"--address {DEAD}: nothing answers there"),
        ("nonsense", 2, "--address nonsense: must be auto, HOST:PORT or ray://HOST:PORT"),
        ("10.0..1:6379", 2, "--address 10.0..1:6379: its host is invalid"),
        ("ray://10.0..1:10001", 2, "--address ray://10.0..1:10001: its host is invalid"),
        ("127.0.0.1:999999", 4, "--address 127.0.0.1:999999: nothing answers there"),
    ],
)
def test_a_cluster_that_is_not_there_is_named(tiny: TinyStudyFolder, address: str, code: int, sentence: str) -> None:
    ended = tiny.zerotune("run", "tiny.yaml", "--address", address)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert sentence in ended.err


def test_a_cluster_that_says_nothing_is_given_up_and_holds_up_no_exit(
    tiny: TinyStudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray  # this import takes seconds, and the other tests here do not need it

    from zerotune.tuner.execution.ray import attach

    answered = threading.Event()
    monkeypatch.setattr(ray, "init", lambda **_: answered.wait())
    monkeypatch.setattr(attach, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        ended = tiny.zerotune("run", "tiny.yaml", "--address", address)
    (waiting,) = [thread for thread in threading.enumerate() if thread.name == "ray-join"]
    assert waiting.daemon
    answered.set()
    waiting.join()
    assert ended.code == 4
    assert f"--address {address}: the Ray cluster did not answer within" in ended.err
