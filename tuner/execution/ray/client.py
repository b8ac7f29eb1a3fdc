"""Ray's client, ray://HOST:PORT: this program is on no machine of the cluster, and all it asks for goes through a port.

Ray Tune would send itself there, with a copy of whatever it was given, so that what the workers say would never come
back. It is kept here instead (`_remote=False` in `tuner.execution.ray.tune_worker`), where it looks for a folder that
only a machine of the cluster has.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .health_check import lost_text
from .settings import ray  # before Ray itself, which reads its settings then

# isort: split
from ray.train._internal import storage

from ...errors import Unreachable

_SCHEME = "ray://"


def client_port(address: str | None) -> str | None:
    """HOST:PORT of the cluster's port for clients; None where this program is no client.

    >>> client_port("ray://head:10001"), client_port("head:6379"), client_port(None)
    ('head:10001', None, None)
    """
    return address.removeprefix(_SCHEME) if address is not None and address.startswith(_SCHEME) else None


@contextmanager
def driven_from_here(address: str | None, folder: str) -> Iterator[None]:
    """Inside, Ray Tune runs in this program, whether that is on a machine of the cluster or not.

    Args:
        address: the cluster's, as the user gave it.
        folder: where Tune keeps its own files, in the place of the folder that only the cluster's machines have.

    Raises:
        Unreachable: a client has lost its connection, and half a minute's attempts of Ray's to renew it were in vain.
    """
    before = storage._get_ray_train_session_dir
    storage._get_ray_train_session_dir = lambda: folder
    try:
        yield
    except Exception:  # Ray's client raises bare ones then, and other ones of Tune's follow from them
        port = client_port(address)
        if port is None or ray.util.client.ray.is_connected():
            raise
        raise Unreachable(lost_text(port)) from None
    finally:
        storage._get_ray_train_session_dir = before
