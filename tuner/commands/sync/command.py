"""The command `zerotune sync`: its options, and what is done with them."""

import typer
from rich.console import Console

from ...run.command_text import STORE, format_command
from ..interrupt import exit_on_interrupt
from ..options import AppOption, StoreOption, StudyArgument, TrackingOption, load_named_study


def add_sync_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where it says what was written.
    """

    @app.command()
    def sync(
        study: StudyArgument, store: StoreOption = STORE, tracking_uri: TrackingOption = None, own: AppOption = None
    ) -> None:
        """Bring the journals of a study and its regime search into their MLflow store after it was away, or another."""
        where = {"--app": own, "--store": str(store), "--tracking-uri": tracking_uri}
        with exit_on_interrupt(format_command("sync", study, where), console):
            from ...reports.text.format import pluralize
            from ...run.options import RunOptions
            from .run import sync_study

            definition = load_named_study(study, own)
            done = sync_study(definition, RunOptions(store=store, tracking_uri=tracking_uri), console)
        for each in done:
            written = f"{pluralize(each.written, 'result')} written to {each.address}, {each.known} there before"
            console.print(f"{each.study}: {written}{each.rest}", soft_wrap=True)
