"""The Ray cluster of a study, without Ray: how many trials fit, and the error message when it does not start."""

import socket
from unittest.mock import MagicMock

import pytest
import ray

from zerotune.tuner.errors import BadInput, Unreachable
from zerotune.tuner.execution.preflight import Findings
from zerotune.tuner.execution.ray import attach as attach_module
from zerotune.tuner.execution.ray import cluster
from zerotune.tuner.execution.ray.attach import _reason, attach, inspect_machines
from zerotune.tuner.execution.ray.cluster import Slots, _slots
from zerotune.tuner.execution.trial_runner import Execution


@pytest.mark.parametrize(("most", "expected"), [(None, (6, 4)), (5, (5, 4)), (3, (3, 3))])
def test_slots_are_counted_on_the_cluster_and_on_its_largest_machine(
    monkeypatch: pytest.MonkeyPatch, most: int | None, expected: tuple[int, int]
) -> None:
    """Machines with nine and four cores, and one that is gone; a trial takes two cores."""
    machines = [(True, 9.0), (True, 4.0), (False, 64.0)]
    nodes = [{"Alive": alive, "Resources": {"CPU": cores}} for alive, cores in machines]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert expected == _slots(Execution(cpus_per_trial=2, max_concurrent=most))


class StandIn:
    """Replace Ray and the head of an embedded cluster, and record the requests to them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failure: Exception | None = None

    def init(self, *, address: str, **settings: object) -> None:
        self.calls.append(f"connect to {address}")
        if self.failure is not None:
            raise self.failure

    def shutdown(self) -> None:
        self.calls.append("disconnect")

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def take(self, num_cpus: int) -> "StandIn":
        self.calls.append(f"take {num_cpus} cores")
        return self

    def address(self) -> str:
        return "127.0.0.1:6"

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    ray_stand_in = StandIn()
    monkeypatch.setattr(cluster, "ray", ray_stand_in)
    monkeypatch.setattr(cluster, "take", ray_stand_in.take)
    return ray_stand_in


def test_an_embedded_cluster_is_taken_connected_to_and_stopped(stand_in: StandIn) -> None:
    with cluster.connect(Execution()) as slots:
        assert slots == Slots(total=2, per_machine=2)
        assert ["connect to 127.0.0.1:6"] == stand_in.calls[1:]
    assert ["disconnect", "stop"] == stand_in.calls[2:]


def test_it_has_the_cores_that_a_trial_asks_for(stand_in: StandIn) -> None:
    with pytest.raises(BadInput, match="300 CPUs"), cluster.connect(Execution(cpus_per_trial=300)):
        pass
    assert stand_in.calls[0] == "take 300 cores"
    assert stand_in.calls[-1] == "stop"


def test_one_that_cannot_be_connected_to_is_reported_in_a_sentence_and_stopped(stand_in: StandIn) -> None:
    stand_in.failure = Exception("The current node timed out during startup.\nMore of it.")
    with pytest.raises(Unreachable) as refused, cluster.connect(Execution()):
        pass
    assert str(refused.value) == (
        "a local Ray cluster could not be started: The current node timed out during startup. Run the command again "
        "when the machine is less busy, or with --driver serial"
    )
    assert stand_in.calls[-1] == "stop"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("nothing is there\nmore of it", "nothing is there"),
        ("Not begun:\nTraceback\n  File x\nRuntimeError: not in time\n", "Not begun: RuntimeError: not in time"),
        ("Initialization failure:", "Initialization failure:"),
    ],
)
def test_the_reason_of_a_cluster_that_cannot_be_joined_is_one_line(said: str, reason: str) -> None:
    assert reason == _reason(ConnectionError(said))


@pytest.mark.parametrize(
    ("has_token", "machines", "named"),
    [
        (False, ["127.0.0.1", "10.0.0.7", "192.0.2.1"], "10.0.0.7, 192.0.2.1"),
        (False, ["fd00::7", "head"], "fd00::7, head"),
        (False, ["127.0.0.1", "::1", "localhost"], None),
        (True, ["10.0.0.7"], None),
    ],
)
def test_a_cluster_that_others_can_reach_and_that_asks_for_no_token_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, has_token: bool, machines: list[str], named: str | None
) -> None:
    found = Findings(host="h", problem=None, versions={}, sees_checkpoints=True)
    fake_ray = MagicMock(__version__="2")
    fake_ray.nodes.return_value = [{"NodeID": m, "NodeManagerAddress": m, "Alive": True} for m in machines]
    fake_ray.get.return_value = [found for _ in machines]
    fake_ray.cluster_resources.return_value = {"CPU": 2.0}
    monkeypatch.setattr(attach_module, "ray", fake_ray)
    monkeypatch.setattr(attach_module, "NodeAffinitySchedulingStrategy", MagicMock())
    monkeypatch.setattr(attach_module, "HAS_TOKEN", has_token)
    warnings = [sentence for sentence in inspect_machines(Execution(address="h:1")) if sentence.startswith("WARNING")]
    if named is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert f"whoever can reach {named} can run any program there as you" in warning
        assert "RAY_AUTH_MODE=token" in warning


@pytest.mark.parametrize(("num_deaths", "joins"), [(0, True), (2, True), (3, False)])
def test_a_cluster_whose_server_for_this_client_dies_is_asked_three_times(
    monkeypatch: pytest.MonkeyPatch, num_deaths: int, joins: bool
) -> None:
    asked: list[str] = []

    def init(*, address: str, **_: object) -> None:
        asked.append(address)
        if len(asked) <= num_deaths:
            raise ConnectionAbortedError("Initialization failure from server:\nTraceback\nZombieProcess: a zombie")

    monkeypatch.setattr(ray, "init", init)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ray://127.0.0.1:{server.getsockname()[1]}"
        if joins:
            attach(address)
        else:
            with pytest.raises(Unreachable, match=r"cannot join .* failure from server: ZombieProcess: a zombie$"):
                attach(address)
    assert asked == [address] * min(num_deaths + 1, 3)
