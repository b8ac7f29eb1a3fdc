"""What the MLflow UI initially shows of a study: its description, and the runs and columns of its links."""

import json

REPORT = "report/report.html"
"""Artifact of the study's run."""

TRAINING = "workflowType=machine_learning"
"""Opens a page of the UI under "Model training", where the runs are, not under "GenAI"."""

ANSWER_VIEW = "zerotune-answer"
ALL_VIEW = "zerotune"
CONFIRMED_VIEW = "zerotune-confirmed"

_SUMMARY = [
    *("metrics.`lost_seeds`", "metrics.`skip_tuning`", "metrics.`test_score`", "metrics.`trainings_needed`"),
    *("metrics.`trainings_spared`", "tags.`verdict`"),
]
"""The UI sorts metrics by name and shows tags last. Few fit a laptop's screen, so costs in other units are left out."""
_TRIALS = [
    *("tags.`arm`", "tags.`role`", "tags.`status`", "params.`batch_size`", "params.`lr`", "params.`seed`"),
    *("metrics.`test_score`", "metrics.`validation_score`", "metrics.`cost/device_seconds`"),
]

_NOTE = """A zerotune study: one parent run for each arm and batch size, one child run for each trial.

- The verdict and a link to the report are the description of the run "study: {study}".
- `metrics.seeds >= 0` shows the study and its arms: `verdict`, `skip_tuning` (1 yes, 0.5 less certain, 0 no),
  `test_score` (median of the sound seeds), `lost_seeds`, `trainings_needed` to a model and `trainings_spared`.
- `tags.role = 'confirmation'` shows the runs that decide a verdict.
"""


def study_note(study: str) -> str:
    """Return the description of a study's experiment."""
    return _NOTE.format(study=study)


def escape_note(text: str) -> str:
    r"""Escape a sentence for the Markdown of a description, on one line.

    >>> escape_note("a_b *c* <d>")
    'a\\_b \\*c\\* &lt;d&gt;'
    """
    escaped = "".join(f"\\{sign}" if sign in "\\`*_[]|~#" else sign for sign in text)
    return " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def build_shared_views() -> dict[str, str]:
    """Return the experiment tags of the views of the runs page, with their initial runs and columns.

    The UI stores "shared views" in such tags and opens the one named by a link.
    """
    views = {
        ANSWER_VIEW: {
            "selectedColumns": _SUMMARY,
            "searchFilter": "metrics.seeds >= 0",
            "orderByKey": "attributes.start_time",
            "orderByAsc": True,
        },
        ALL_VIEW: {"selectedColumns": _TRIALS},
        CONFIRMED_VIEW: {
            "selectedColumns": _TRIALS,
            "searchFilter": "tags.role = 'confirmation'",
            "orderByKey": "metrics.`test_score`",  # sorted by a metric, the page does not nest trials under their arm
            "orderByAsc": False,
        },
    }
    return {f"mlflow.sharedViewState.{name}": json.dumps(view) for name, view in views.items()}
