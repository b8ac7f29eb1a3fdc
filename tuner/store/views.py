"""Which runs and columns the MLflow UI shows of a study at first."""

import json

ALL_VIEW = "zerotune"
CONFIRMED_VIEW = "zerotune-confirmed"
_COLUMNS = [
    *("tags.`arm`", "tags.`role`", "tags.`status`", "params.`batch_size`", "params.`lr`", "params.`seed`"),
    *("metrics.`test_score`", "metrics.`validation_score`", "metrics.`cost/device_seconds`"),
]


def build_shared_views() -> dict[str, str]:
    """Experiment tags that hold two views of the runs page: which runs and columns it shows at first.

    The UI keeps "shared views" under such tags and opens the one that a link names.
    """
    views = {
        ALL_VIEW: {"selectedColumns": _COLUMNS},
        CONFIRMED_VIEW: {
            "selectedColumns": _COLUMNS,
            "searchFilter": "tags.role = 'confirmation'",
            "orderByKey": "metrics.`test_score`",  # sorted by a metric, the page does not fold trials under their arm
            "orderByAsc": False,
        },
    }
    return {f"mlflow.sharedViewState.{name}": json.dumps(view) for name, view in views.items()}
