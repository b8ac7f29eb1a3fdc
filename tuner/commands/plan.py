"""The command `zerotune plan`."""

from .options import AppOption, DataOption, StudyArgument, load_named_study
from .terminal import console


def plan(study: StudyArgument, data_folder: DataOption = None, app: AppOption = None) -> None:
    """Show each arm's trials, iterations and estimated cost without training."""
    from ..campaign.plan import plan_study
    from ..reports.tables.plan import print_plan

    definition = load_named_study(study, app)
    print_plan(definition, plan_study(definition, data_folder), console)
