"""Errors that a user can fix, each with an exit code."""


class ZerotuneError(Exception):
    """Base class of all errors that are shown to the user as a sentence instead of a traceback."""

    exit_code = 1


class BadInput(ZerotuneError):
    """A file, key, value or argument is invalid. Exit code 2."""

    exit_code = 2


class StudyFailed(ZerotuneError):
    """Every trial of the study failed. Exit code 3."""

    exit_code = 3


class Unreachable(ZerotuneError):
    """A Ray cluster or MLflow server does not answer, or the connection was lost. Exit code 4."""

    exit_code = 4


class StudyChanged(BadInput):
    """The study on disk was started with a different definition. Exit code 2."""


class StudyLocked(ZerotuneError):
    """Another process is running this study. Exit code 5."""

    exit_code = 5


class RequirementNotMet(ZerotuneError):
    """The verdict is not what `zerotune compare --require` asks for. Exit code 6."""

    exit_code = 6


class StudyIncomplete(ZerotuneError):
    """The study is unfinished or lacks results, so that its verdict is not final. Exit code 7."""

    exit_code = 7
