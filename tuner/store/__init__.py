"""The MLflow store: experiment = study, parent run = arm at a batch size, child run = trial.

The only package that uses mlflow. It writes results and reads them back; it must not know how trials are chosen, run
or judged. Importing it is cheap: mlflow itself is imported when a store is opened.
"""

from tuner.addresses import redact
from tuner.store.background import Writer
from tuner.store.choice import store_uri
from tuner.store.connection import default_tracking_uri, is_server
from tuner.store.reader import StoredStudy, list_studies, read_results
from tuner.store.ui import ui_command, ui_links
from tuner.store.writer import Store

__all__ = [
    "Store",
    "StoredStudy",
    "Writer",
    "default_tracking_uri",
    "is_server",
    "list_studies",
    "read_results",
    "redact",
    "store_uri",
    "ui_command",
    "ui_links",
]
