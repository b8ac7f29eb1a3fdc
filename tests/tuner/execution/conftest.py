"""A Ray cluster that the tests of drivers share."""

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace

import pytest

from zerotune.trainers.cores import num_cores
from zerotune.tuner.execution.ray import cluster
from zerotune.tuner.execution.ray.local_cluster import LocalHead


@pytest.fixture(scope="session")
def started_head() -> Iterator[SimpleNamespace]:
    """An embedded cluster that no study stops, with room for two workers."""
    head = LocalHead(max(2, num_cores()))
    yield SimpleNamespace(address=cache(head.address), stop=lambda: None)
    head.stop()


@pytest.fixture(scope="module")
def shared_head(started_head: SimpleNamespace) -> Iterator[None]:
    """Run studies on that cluster; starting one for each takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "take", lambda num_cpus: started_head)
        yield
