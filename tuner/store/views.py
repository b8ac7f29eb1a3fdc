"""The runs and columns that the MLflow UI initially shows of a study."""

import json

ALL_VIEW = "zerotune"
CONFIRMED_VIEW = "zerotune-confirmed"
_COLUMNS = [
    *("tags.`arm`", "tags.`role`", "tags.`status`", "params.`batch_size`", "params.`lr`", "params.`seed`"),
    *("metrics.`test_score`", "metrics.`validation_score`", "metrics.`cost/device_seconds`"),
]


def build_shared_views() -> dict[str, str]:
    """Return the experiment tags of two views of the runs page, with their initial runs and columns.

    The UI stores "shared views" in such tags and opens the one named by a link.
    """
    views = {
        ALL_VIEW: {"selectedColumns": _COLUMNS},
        CONFIRMED_VIEW: {
            "selectedColumns": _COLUMNS,
            "searchFilter": "tags.role = 'confirmation'",
            "orderByKey": "metrics.`test_score`",  # sorted by a metric, the page does not nest trials under their arm
            "orderByAsc": False,
        },
    }
    return {f"mlflow.sharedViewState.{name}": json.dumps(view) for name, view in views.items()}
