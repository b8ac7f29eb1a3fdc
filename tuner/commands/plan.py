"""The command `zerotune plan`."""

from .options import AppOption, DataOption, StudyArgument, load_named_study
from .terminal import console


def plan(study: StudyArgument, data_folder: DataOption = None, app: AppOption = None) -> None:
    """Show each arm's trials, iterations and estimated cost without training."""
    from ..campaign.plan import plan_study
    from ..reports.tables.plan import print_plan, print_remarks

    definition = load_named_study(study, app)
    found = plan_study(definition, data_folder)
    print_plan(definition, found, console)
    print_remarks(found.remarks, console)
