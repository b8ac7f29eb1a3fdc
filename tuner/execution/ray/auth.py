"""The token of a Ray cluster: use it where there is one, and keep it private.

Anyone who has the token can run any code on the cluster.

Ray asks for it in the mode "token" only and reads the mode from the environment on import. Call `use_available_token`
before that; this module must not import Ray. In a program that has already imported Ray the mode is fixed.
"""

import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ...addresses import is_loopback

MODE = "RAY_AUTH_MODE"
TOKEN = "RAY_AUTH_TOKEN"  # name of the variable
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"

_IN_HOME = "~/.ray/auth_token"


def token_file() -> Path:
    """Return the file from which Ray reads the token if the environment does not hold it."""
    return Path(os.path.expanduser(os.environ.get(TOKEN_PATH) or _IN_HOME))  # noqa: PTH111  # Path's raises without HOME


def use_available_token() -> bool:
    """Turn on token authentication if a token is available and the mode is not set yet.

    Otherwise a client that has the right token hangs and fails on a cluster that requires one.

    Returns:
        Whether token authentication is on.
    """
    is_undecided = MODE not in os.environ and "ray" not in sys.modules
    if is_undecided and (os.environ.get(TOKEN) or token_file().is_file()):
        os.environ[MODE] = "token"
    keep_token_private()
    return os.environ.get(MODE, "").lower() == "token"


def provide_token() -> None:
    """Put a token for an embedded cluster into the environment if Ray cannot write one to the home folder."""
    if os.environ.get(TOKEN) or token_file().is_file():
        return
    folder = Path(os.path.expanduser(_IN_HOME)).parent  # noqa: PTH111
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK)
    except OSError:
        is_writable = False
    if not is_writable:
        os.environ[TOKEN] = secrets.token_hex(32)


def keep_token_private() -> None:
    """Remove other users' access to the token file, which Ray writes readable for all."""
    file = token_file()
    with suppress(OSError):  # not ours, or missing
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)


def warn_without_token(machines: Iterable[str]) -> Sequence[str]:
    """Return a warning about a cluster without a token, or nothing if only this machine can reach it.

    >>> warn_without_token(["127.0.0.1", "127.0.0.2"])
    ()
    """
    reached = [machine for machine in machines if not is_loopback(machine)]
    if not reached:
        return ()
    return (
        f"WARNING: this Ray cluster requires no token: whoever can reach {', '.join(reached)} can run any program "
        f"there as you. Set {MODE}=token at every `ray start` and {TOKEN_PATH}=FILE there and here, a FILE that "
        "holds a long random text: see docs/cluster.md",
    )


def enable_local_token() -> None:
    """Turn on token authentication, unless the mode is set, as Ray does in a program that starts a cluster.

    The process that started the cluster did so only for itself. A program that connects to an address must do it too.
    """
    from ray._private.authentication import authentication_token_setup as of_ray

    if hasattr(of_ray, "enable_token_auth_by_default"):  # missing in Ray 2.59, which leaves it off
        of_ray.enable_token_auth_by_default()
