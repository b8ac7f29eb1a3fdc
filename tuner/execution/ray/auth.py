"""The token of a Ray cluster. Whoever has it may run any code there: it is used where it is at hand, and kept private.

Ray asks for it in the mode "token" only, and takes the mode from the environment when it is imported:
`use_available_token` must be used before, and this module must not import Ray. A program that has imported Ray already
has decided for itself.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ...addresses import is_loopback

MODE = "RAY_AUTH_MODE"
TOKEN = "RAY_AUTH_TOKEN"  # the variable's name
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"


def token_file() -> Path:
    """The file that Ray reads the token from, where it is not in the environment itself."""
    return Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token").expanduser()


def use_available_token() -> bool:
    """Turns token authentication on where a token is at hand and nobody has decided otherwise.

    Without that a client that has the right token hangs and fails on a cluster that asks for one.

    Returns:
        Whether token authentication is on.
    """
    is_undecided = MODE not in os.environ and "ray" not in sys.modules
    if is_undecided and (os.environ.get(TOKEN) or token_file().is_file()):
        os.environ[MODE] = "token"
    keep_token_private()
    return os.environ.get(MODE, "").lower() == "token"


def keep_token_private() -> None:
    """Takes the token's file away from other users: Ray writes it readable for all."""
    file = token_file()
    with suppress(OSError):  # not ours, or not there
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)


def warn_without_token(machines: Iterable[str]) -> Sequence[str]:
    """What is said of a cluster that asks for no token: nothing where nobody else's machine can reach it.

    >>> warn_without_token(["127.0.0.1", "127.0.0.2"])
    ()
    """
    reached = [machine for machine in machines if not is_loopback(machine)]
    if not reached:
        return ()
    return (
        f"WARNING: this Ray cluster asks for no token: whoever can reach {', '.join(reached)} can run any program "
        f"there as you. Set {MODE}=token at every `ray start` and {TOKEN_PATH}=FILE there and here, FILE with a long "
        "random text: docs/cluster.md",
    )


def enable_local_token() -> None:
    """Turns token authentication on as Ray does in a program that starts a cluster, where nobody has decided otherwise.

    The process that started the cluster did so for itself; who connects to an address must do it on its own.
    """
    from ray._private.authentication import authentication_token_setup as of_ray

    if hasattr(of_ray, "enable_token_auth_by_default"):  # not in Ray 2.59, which leaves it off
        of_ray.enable_token_auth_by_default()
