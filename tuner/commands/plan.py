"""The command `zerotune plan`."""

from .options import AppOption, DataOption, StudyArgument, load_named_study
from .output import FormatOption, OutputFormat, messages_of, print_json
from .terminal import console


def plan(
    study: StudyArgument,
    data_folder: DataOption = None,
    app: AppOption = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Show each arm's trials, iterations and estimated cost without training."""
    from ..campaign.plan import plan_study
    from ..reports.tables.plan import plan_as_json, print_plan, print_remarks

    with messages_of(format):
        definition = load_named_study(study, app)
        found = plan_study(definition, data_folder)
    if format is OutputFormat.json:
        print_json("plan", plan_as_json(definition, found))
        return
    print_plan(definition, found, console)
    print_remarks(found.remarks, console)
