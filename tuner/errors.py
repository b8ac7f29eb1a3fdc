"""Errors that a user can fix: one sentence and an exit code each."""


class ZerotuneError(Exception):
    """Base of all errors shown to the user as a sentence, never as a traceback."""

    exit_code = 1


class BadInput(ZerotuneError):
    """A file, key, value or argument that cannot be used. Exit code 2."""

    exit_code = 2


class StudyFailed(ZerotuneError):
    """Every trial of the study failed. Exit code 3."""

    exit_code = 3


class Unreachable(ZerotuneError):
    """A Ray cluster or MLflow server that does not answer, or was lost. Exit code 4."""

    exit_code = 4


class StudyChanged(BadInput):
    """The study on disk was started with another definition. Exit code 2."""


class StudyLocked(ZerotuneError):
    """Another process drives this study. Exit code 5."""

    exit_code = 5
