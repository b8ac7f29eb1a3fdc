"""Ray's private interface that has no public counterpart, listed here so that a Ray without it fails a test.

The range of Ray in pyproject.toml ends at the last version checked. The reasons for each part:

- `ray_constants.ENABLE_RAY_CLUSTER`: keeps a local cluster on 127.0.0.1; Ray on Linux replaces a given address.
- `Node.start_monitor`, `start_log_monitor`, `start_api_server`: programs that a local cluster does not need and that
  take seconds to start. No option of `ray start` leaves out the first two.
- `enable_token_auth_by_default`: `ray.init` calls it when it starts a cluster, but not when it connects to one.
- `storage._get_ray_train_session_dir`: with Ray's client, Tune looks for a folder of the cluster's machines.
- `_temp_dir` and `_system_config` of `ray.init`: sockets in a private folder, and no worker before the driver's first.
"""

import inspect

import ray
from ray._private import ray_constants
from ray._private.authentication import authentication_token_setup
from ray._private.node import Node
from ray.train._internal import storage

from zerotune.tuner.execution.ray.local_head import _FOR_OTHERS


def test_the_private_interface_that_is_used_is_that_of_this_ray() -> None:
    assert isinstance(ray_constants.ENABLE_RAY_CLUSTER, bool)
    assert all(callable(getattr(Node, name)) for name in _FOR_OTHERS)
    assert inspect.signature(authentication_token_setup.enable_token_auth_by_default).parameters == {}
    assert inspect.signature(storage._get_ray_train_session_dir).parameters == {}
    source = inspect.getsource(inspect.unwrap(ray.init))
    assert 'kwargs.pop("_temp_dir"' in source
    assert 'kwargs.pop("_system_config"' in source
