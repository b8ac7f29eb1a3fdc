"""Fixtures for the tests of replicates."""

import pytest

from tests.tuner.commands.replicate.known_table import KNOWN, known_study
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.study import Study


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of the table whose truth is known."""
    monkeypatch.setitem(APPLICATIONS, "known_table", KNOWN)
    return known_study()
