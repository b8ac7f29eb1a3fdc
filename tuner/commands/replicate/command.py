"""The command `zerotune replicate`."""

from typing import Annotated

import typer

from ..options import AppOption, DataOption, StudyArgument, load_named_study
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console


def replicate(
    study: StudyArgument,
    times: Annotated[int, typer.Option("--times", min=1, metavar="N", help="How often the study is looked up.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of what differs between them.")] = 0,
    data_folder: DataOption = None,
    app: AppOption = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Look a study of a table up many times with other seeds: how often is each verdict said, and how often true?"""
    with messages_of(format):
        definition = load_named_study(study, app)
        from ...run.options import check_workload
        from .replicates import Replicates, find_look_up
        from .summary import summarise
        from .text import print_replicates, replicates_as_json

        find_look_up(definition)
        check_workload(definition, definition.data.folder if data_folder is None else data_folder)
        replicates = Replicates(definition, seed=seed)
        found = summarise(replicates.run_all(times))
    if format is OutputFormat.json:
        print_json("replicate", replicates_as_json(replicates, found))
        return
    print_replicates(replicates, found, console)
