"""Study definitions: their schema, their files, and the configurations that follow from them.

`load_study` reads and checks a file and returns a `Study`. `baseline_config`, `rule_config` and `search_config` turn
hyperparameters into a `trainers.spec.Configuration`. This package must not know who proposes hyperparameters, where
trials run or how they are recorded.
"""

from .changes import describe_changes
from .checks import size_problems
from .configure import baseline_config, hyperparameter_names, rule_config, search_config
from .defaults import DEFAULT, DEFAULTS
from .definition import ArmDefinition, BaselineDefinition, SearchDefinition, Study
from .loading import load_study, shipped_studies, study_from_text, study_path
from .methods import SEARCH_METHODS, SPACE_METHODS
from .parts import Budget, Resources
from .remarks import study_remarks

__all__ = [
    "DEFAULT",
    "DEFAULTS",
    "SEARCH_METHODS",
    "SPACE_METHODS",
    "ArmDefinition",
    "BaselineDefinition",
    "Budget",
    "Resources",
    "SearchDefinition",
    "Study",
    "baseline_config",
    "describe_changes",
    "hyperparameter_names",
    "load_study",
    "rule_config",
    "search_config",
    "shipped_studies",
    "size_problems",
    "study_from_text",
    "study_path",
    "study_remarks",
]
