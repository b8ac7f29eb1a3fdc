"""The option `--app FILE.py:NAME`: the user's own application, available while a command runs.

Applications import torch, so nothing is imported unless the option is given.
"""

from ..errors import BadInput


def register_user_application(spec: str | None) -> str | None:
    """Add the application of FILE.py:NAME to the table of applications, and return NAME; None if none was given.

    Raises:
        BadInput: the file, or the application in it, cannot be used.
    """
    if spec is None:
        return None
    from ..study import loading

    return loading.register_user_application(spec, f"--app {spec}")


def check_application_is_used(spec: str | None, registered: str | None, application: str, user: str) -> None:
    """Refuse an application of the user's if the command uses another. `user` is what uses it, e.g. "study 'tiny'".

    Raises:
        BadInput: `application`, which is used, is not the one that was registered.
    """
    if registered is not None and registered != application:
        raise BadInput(f"--app {spec}: has no effect: {user} names the application {application!r}, not {registered!r}")
