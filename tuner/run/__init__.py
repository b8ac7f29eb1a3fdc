"""Run a study: journal, reuse, recording, answer."""
