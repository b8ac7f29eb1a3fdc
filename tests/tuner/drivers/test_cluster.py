"""The Ray cluster a study runs on, without Ray: how many trials fit, and what is said where it does not start."""

import pytest

from tuner.drivers import cluster
from tuner.drivers.cluster import _slots
from tuner.drivers.work import Execution
from tuner.errors import Unreachable


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
