"""The command `zerotune judge`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....trainers.tables import UnknownName, lookup
from ...errors import BadInput
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console, print_lines, refuse_unwritable

if TYPE_CHECKING:
    from ...analysis.past_judgement import PastAnswer
    from ...past_trainings.training import PastTraining

NAMES = ("algoperf", "batch_science", "pd1")
"""The collections, for the help; a test holds them against `COLLECTIONS`."""


def judge(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help=f"One of {', '.join(NAMES)}.")],
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="The folder into which you downloaded the collection.")
    ],
    leaderboard: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The leaderboard to judge. Default: the one with the most trainings."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="ARM",
            help="The tuned arm to judge against. Default: that with the best score of the benchmark, which only "
            "validation scores decide.",
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(metavar="ARM", help="An arm that was not tuned. Can be repeated. Default: all of them."),
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="Share of the tuned score that still counts as kept.")
    ] = 0.995,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="DIR", help="Folder to write a page, CSV, JSON and pictures to."),
    ] = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Judge past trainings of a public collection: what do arms lose and save that were not tuned?

    AlgoPerf's leaderboards have tuned arms and others. Of collections where all was tuned, see what k trials find.
    """
    from ...past_trainings import COLLECTIONS

    _check_name("collection", COLLECTIONS, collection, "COLLECTION")
    if not data.is_dir():
        raise BadInput(f"--data {data}: is not a folder; name the one into which you downloaded {collection}")
    with messages_of(format):
        trainings = COLLECTIONS[collection](data)
        name = _choose(trainings, leaderboard)
    own = [one for one in trainings if one.collection == name]
    zero, tuned = ({one.arm: None for one in own if one.tuned is is_tuned} for is_tuned in (False, True))
    if not zero:
        _show_searches(name, own, export, format)
        return
    if not tuned:
        raise BadInput(f"--data {data}: no arm of {name} was tuned, so there is nothing to judge the others against")
    from ...analysis.past_judgement import default_reference, judge_past

    for given in arm or ():
        _check_name("arm that was not tuned", zero, given, "--arm")
    if reference is not None:
        _check_name("tuned arm", tuned, reference, "--reference")
    chosen = reference or default_reference(own, name)
    if chosen is None:
        names = ", ".join(sorted(tuned))
        raise BadInput(f"{name}: no score says which tuned arm is best; add --reference with one of {names}")
    answer = judge_past(own, name, reference=chosen, arms=list(dict.fromkeys(arm or sorted(zero))), margin=margin)
    _show_answer(answer, export, format)


def _check_name(kind: str, table: Mapping[str, object], name: str, option: str) -> None:
    try:
        lookup(kind, table, name)
    except UnknownName as error:
        raise BadInput(f"{option}: {error}") from None


def _choose(trainings: "Sequence[PastTraining]", wanted: str | None) -> str:
    """Return the leaderboard to judge: the one that was asked for, or the one with the most trainings."""
    counts = Counter(one.collection for one in trainings)
    if wanted is not None:
        _check_name("leaderboard", dict.fromkeys(counts), wanted, "--leaderboard")
        return wanted
    chosen = max(sorted(counts), key=lambda name: counts[name])
    if len(counts) > 1:
        others = ", ".join(sorted(counts.keys() - {chosen}))
        console.print(f"Judging {chosen}, which has the most trainings; --leaderboard names another: {others}.\n")
    return chosen


def _show_searches(name: str, trainings: "Sequence[PastTraining]", export: Path | None, format: OutputFormat) -> None:
    from ...analysis.past_searches import past_searches
    from .tables import print_searches

    searches = past_searches(trainings)
    if format is OutputFormat.text:
        print_searches(name, searches, console)
    files = []
    if export is not None:
        from .export import write_searches

        with refuse_unwritable(export):
            files = write_searches(name, searches, export)
    if format is OutputFormat.json:
        from .export import searches_as_json

        print_json("judge", searches_as_json(name, searches))
    elif files:
        console.print()
        print_lines(files)


def _show_answer(answer: "PastAnswer", export: Path | None, format: OutputFormat) -> None:
    from .tables import print_past_answer

    if format is OutputFormat.text:
        print_past_answer(answer, console)
    files = []
    if export is not None:
        from .export import write_past_answer

        with refuse_unwritable(export):
            files = write_past_answer(answer, export)
    if format is OutputFormat.json:
        from .export import past_answer_as_json

        print_json("judge", past_answer_as_json(answer))
    elif files:
        console.print()
        print_lines(files)
