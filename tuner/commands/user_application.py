"""The command line's `--app FILE.py:NAME`: the user's own application, for as long as a command runs.

Applications bring torch with them, so nothing is imported where the option is not given.
"""

from ..errors import BadInput


def register_user_application(words: str | None) -> str | None:
    """Enters the application of a file into the table of applications.

    Args:
        words: FILE.py:NAME; None where the option was not given.

    Returns:
        NAME, or None.

    Raises:
        BadInput: the file, or the application in it, cannot be used.
    """
    if words is None:
        return None
    from ...trainers.applications.failure import ApplicationError
    from ...trainers.applications.registry import register_application
    from ...trainers.applications.user_file import read_application_file

    try:
        file = read_application_file(words)
        register_application(file)
    except ApplicationError as error:
        raise BadInput(f"--app {words}: {error}") from None
    return file.name


def check_application_is_used(words: str | None, own: str | None, application: str, user: str) -> None:
    """Refuses an own application that nothing asks for.

    Args:
        words: as they were given.
        own: the name of the application they entered, or None.
        application: the one that is used.
        user: who uses it, such as "the study 'tiny'".

    Raises:
        BadInput: they differ.
    """
    if own is not None and own != application:
        raise BadInput(f"--app {words}: has no effect: {user} names the application {application!r}, not {own!r}")
