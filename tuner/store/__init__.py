"""The MLflow store: experiment = study, parent run = arm at a batch size, child run = trial.

This is the only package that uses mlflow. It writes results and reads them back. It must not know how trials are
chosen, run or judged. Importing it is cheap, because mlflow is imported only when a store is opened.
"""

from ..addresses import redact
from .background import Writer
from .choice import is_by_environment, store_uri
from .connection import default_tracking_uri, is_server
from .reader import StoredStudy, list_studies, read_results
from .ui import ui_command, ui_links
from .writer import Store

__all__ = [
    "Store",
    "StoredStudy",
    "Writer",
    "default_tracking_uri",
    "is_by_environment",
    "is_server",
    "list_studies",
    "read_results",
    "redact",
    "store_uri",
    "ui_command",
    "ui_links",
]
