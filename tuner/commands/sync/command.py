"""The command `zerotune sync`."""

from ...run.command_text import format_command, format_places
from ..interrupt import exit_on_interrupt
from ..options import AcceptOption, AppOption, StoreOption, StudyArgument, TrackingOption, load_named_study
from ..terminal import console, print_lines


def sync(
    study: StudyArgument,
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
    app: AppOption = None,
    accept_changes: AcceptOption = False,
) -> None:
    """Write the results in a study's journals that its MLflow store lacks.

    Use it after the store was unreachable, or to fill another store. A regime search over the study is included.
    """
    options = {"--app": app, **format_places(store, tracking_uri)}
    command = format_command("sync", study, options)
    with exit_on_interrupt(command, console):
        from ...run.options import RunOptions
        from .run import sync_study

        definition = load_named_study(study, app)
        run_options = RunOptions(store=store, tracking_uri=tracking_uri)
        done = sync_study(definition, run_options, console, accept_changes=accept_changes, command=command)
    print_lines(done)
