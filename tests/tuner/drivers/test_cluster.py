"""The Ray cluster a study runs on, without Ray: how many trials fit, and what is said where it does not start."""

import pytest

from tuner.drivers import cluster
from tuner.drivers.attach import _reason
from tuner.drivers.cluster import Slots, _slots
from tuner.drivers.work import Execution
from tuner.errors import BadInput, Unreachable


@pytest.mark.parametrize(("most", "expected"), [(None, (6, 4)), (5, (5, 4)), (3, (3, 3))])
def test_slots_are_counted_on_the_cluster_and_on_its_largest_machine(
    monkeypatch: pytest.MonkeyPatch, most: int | None, expected: tuple[int, int]
) -> None:
    """Machines of nine and of four cores, and one that is gone; a trial takes two cores."""
    machines = [(True, 9.0), (True, 4.0), (False, 64.0)]
    nodes = [{"Alive": alive, "Resources": {"CPU": cores}} for alive, cores in machines]
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    assert expected == _slots(Execution(cpus_per_trial=2, max_concurrent=most))


def test_a_local_cluster_that_does_not_start_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def overloaded(**settings: object) -> None:
        raise Exception("The current node timed out during startup.\nMore of it.")

    monkeypatch.setattr(cluster.ray, "init", overloaded)
    with pytest.raises(Unreachable) as refused, cluster.connected(Execution()):
        pass
    assert str(refused.value) == (
        "a local Ray cluster could not be started: The current node timed out during startup. Run it again when the "
        "machine is less busy, or with --driver serial"
    )


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


class Ray:
    """In the place of Ray: keeps what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def init(self, **settings: object) -> None:
        self.calls.append("init")

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    stand_in = Ray()
    monkeypatch.setattr(cluster, "ray", stand_in)
    return stand_in


def test_a_cluster_started_ahead_is_the_one_that_is_connected_to(ray: Ray) -> None:
    with cluster.started_ahead(Execution()):
        with cluster.connected(Execution()) as slots:
            assert slots == Slots(in_all=2, on_one_machine=2)
        assert ["init", "shutdown"] == ray.calls
    assert ["init", "shutdown"] == ray.calls


def test_a_cluster_started_ahead_in_vain_is_stopped(ray: Ray) -> None:
    with pytest.raises(BadInput, match="the store"), cluster.started_ahead(Execution()):
        raise BadInput("the store cannot be opened")
    assert ["init", "shutdown"] == ray.calls


def test_an_existing_cluster_is_not_started_ahead(ray: Ray) -> None:
    with cluster.started_ahead(Execution(address="auto")):
        assert [] == ray.calls


def test_what_went_wrong_with_a_start_ahead_is_told_when_the_cluster_is_needed(
    ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overloaded(**settings: object) -> None:
        raise RuntimeError("no room.")

    monkeypatch.setattr(ray, "init", overloaded)
    refused = pytest.raises(Unreachable, match="a local Ray cluster could not be started: no room")
    with cluster.started_ahead(Execution()), refused, cluster.connected(Execution()):
        pass
