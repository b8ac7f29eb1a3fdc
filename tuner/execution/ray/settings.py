"""Import Ray with the settings that it reads on import."""

import os

from .auth import use_available_token

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Disable usage reports, logger files and a second table; the journal is what resumes a study."""

os.environ.update(QUIET)
HAS_TOKEN = use_available_token()

import ray  # noqa: E402
from ray._private import ray_constants  # noqa: E402
from ray._private.node import Node  # noqa: E402

__all__ = ["HAS_TOKEN", "QUIET", "Node", "ray", "ray_constants"]
