"""Running a study: the only place that sees all parts.

study -> campaign -> driver -> journal -> store -> answer. A `tuner.run.recorder.Recorder` stands between the driver and
the campaign.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.registry import application_file, is_shipped
from ...trainers.data import DataError
from ...trainers.data.identity import content_identity, folder_identity
from ..analysis.provenance import Origin, collect_provenance, training_provenance
from ..campaign.campaign import Campaign
from ..errors import BadInput, StudyChanged, StudyFailed
from ..execution.preflight import Workload
from ..execution.ray.local_cluster import started_ahead
from ..execution.serial import run_serial
from ..execution.trial_runner import Execution
from ..reports.text.format import pluralize
from ..store import Writer, redact, store_uri
from ..study import Study, describe_changes, size_problems
from ..study.application_check import load_checked_data
from ..trial import TrialResult
from .answer import Answer, answer_of, stored_definition
from .command_text import format_command, report_command
from .earlier import earlier_results
from .journal import Journal
from .progress_display import Display
from .recorder import Recorder
from .retry import take_back_failed
from .reuse import Foresight, Sharing, foresee
from .tracking import keep, store_opener, tell_store

Driver = Literal["ray", "serial"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a study lives and runs.

    Attributes:
        store: folder of the local store; the study's journal is in its sub-folder of the study's name.
        tracking_uri: the MLflow store, or None for the SQLite file in `store`.
        driver: "ray" or "serial".
        address: an existing Ray cluster, or None for a local one.
        data_folder: overrides the study's data folder.
    """

    store: Path
    tracking_uri: str | None = None
    driver: Driver = "ray"
    address: str | None = None
    data_folder: str | None = None

    def uri(self, study: Study) -> str:
        """The MLflow store of a study run here.

        Raises:
            BadInput: as `tuner.store.store_uri`.
        """
        return store_uri(self.store, named=self.tracking_uri, in_study=study.tracking_uri)

    def folder(self, study: Study) -> Path:
        """The study's own folder: journal, lock, checkpoints, figures."""
        return self.store / study.name


def check_workload(study: Study, folder: str | None) -> tuple[int, str | None]:
    """Finds out before any trial that what the application needs is installed, and that the data are there.

    One that is not shipped is rehearsed on them too.

    Returns:
        The number of training samples, and what identifies the data; None where nothing does.

    Raises:
        BadInput: they are not, or a batch size is above the number of training samples.
    """
    application = APPLICATIONS[study.application]
    for sentence in application.missing_packages():
        raise BadInput(f"application {study.application!r}: {sentence}")
    try:
        if is_shipped(study.application):
            num_train = application.data_sources[study.data.source].count(folder, study.data_options())
            identity = folder_identity(folder)
        else:
            data = load_checked_data(study, folder)
            num_train, identity = len(data.train), content_identity(data)
    except DataError as error:
        raise BadInput(f"data source {study.data.source!r}: {error}") from None
    for where, message in size_problems(study, num_train):
        raise BadInput(f"study {study.name!r}: {'.'.join(map(str, where))}: {message}")
    return num_train, identity


def execution_of(study: Study, place: Place) -> Execution:
    """Where and how the trials of a study run."""
    folder = place.data_folder or study.data.folder
    return Execution(
        cpus_per_trial=study.resources.cpus_per_trial,
        gpus_per_trial=study.resources.gpus_per_trial,
        workers_per_trial=study.resources.workers_per_trial,
        max_concurrent=study.resources.max_concurrent,
        # absolute: a worker has another working directory
        data_folder=None if folder is None else str(Path(folder).resolve()),
        checkpoints=place.folder(study).resolve() / "checkpoints",
        address=place.address,
        application=application_file(study.application),
        packing=study.resources.packing,
        workload=Workload(
            application=study.application, data_source=study.data.source, data_options=study.data_options()
        ),
        time_limit=study.resources.time_limit,
    )


def begin(study: Study, journal: Journal, session: Mapping[str, str]) -> None:
    """Starts a new journal, or makes sure that an old one is of the same study.

    Args:
        study: the definition.
        journal: its journal, old or new.
        session: facts of the program that goes on with it.

    Raises:
        StudyChanged: it is not; the text shows what differs.
    """
    if not journal.content.definition:
        journal.begin(study.content(), session)
        return
    check_definition(study, journal)
    journal.resume(session)


def check_definition(study: Study, journal: Journal) -> None:
    """Makes sure that a journal, which is not new, is of this study.

    Raises:
        StudyChanged: it is not; the text shows what differs.
    """
    changes = describe_changes(dict(journal.content.definition), study.content())
    if changes:
        raise StudyChanged(
            f"study {study.name!r} was begun with another definition:\n"
            + "\n".join(f"  {line}" for line in changes)
            + f"\nChange it back to resume it, give it another name, or move {journal.path.parent} away to start anew."
        )


def tell_damage(journal: Journal, console: Console) -> None:
    """Says it where lines of a journal could not be read."""
    if damaged := journal.content.unreadable_lines:
        console.print(f"{journal.path}: {damaged} damaged lines skipped; what they held runs again", style="yellow")


def definition_of(study: Study) -> dict[str, Any]:
    """The resolved study as the store keeps it."""
    application = APPLICATIONS[study.application]
    return stored_definition(study, metric=application.metric, higher_is_better=application.higher_is_better)


def sync_command(study: Study, place: Place) -> str:
    """What brings a study's journal into its store, by the study's name; a password in the address is not shown."""
    return format_command("sync", study.name, {"--store": str(place.store), "--tracking-uri": place.tracking_uri})


def run_study(
    study: Study,
    place: Place,
    console: Console,
    *,
    retrain: bool = False,
    retry_failed: bool = False,
    bring_in: str | None = None,
) -> Answer:
    """Runs what is missing of a study, and gives its answer.

    Whatever ends it early, the journal holds all that was measured, and running it again goes on from there. A store
    that does not answer ends nothing: the answer is made of the journal.

    Args:
        study: the definition.
        place: where it lives and runs.
        console: what it says goes there.
        retrain: whether every trial is trained by itself, those too whose results were taken over.
        retry_failed: whether the trials that failed are run again.
        bring_in: what the user can type to bring into the store what it lacks; None for `sync_command`.

    Raises:
        ZerotuneError: as a sentence, whatever the user can mend.
        KeyboardInterrupt: the user stopped it; it can be resumed.
    """
    uri, execution = place.uri(study), execution_of(study, place)
    _, data = check_workload(study, execution.data_folder)
    application = APPLICATIONS[study.application]
    with closing(Journal(place.folder(study))) as journal, ExitStack() as ready:
        session = {**collect_provenance(), **training_provenance(study, data)}
        begin(study, journal, session)
        tell_damage(journal, console)
        known = journal.content.results
        new_campaign = partial(Campaign, study, known, journal.content.first_failures)
        if retry_failed:
            console.print(take_back_failed(new_campaign(), study.name, journal, execution.checkpoints))
        earlier = None if retrain else earlier_results(study, place.store, session, on_a_cluster=bool(place.address))
        foreseen = foresee(new_campaign(), journal.content, earlier)
        driver = driver_for(foreseen, place)
        ready.enter_context(getting_ready(execution, driver))
        open_store = store_opener(study, uri, definition_of(study), journal.content.sessions)
        tell = partial(tell_store, console, bring_in or sync_command(study, place))
        writer = Writer(open_store, known.values(), tell)
        campaign = new_campaign()
        planned: dict[tuple[str, int], int] = {}
        for cell in campaign.cells:
            planned[cell.arm, cell.batch_size] = planned.get((cell.arm, cell.batch_size), 0) + cell.planned
        num_done = len(known) - len(journal.content.retried)
        console.print(Text(opening(study, place, sum(planned.values()), num_done, foreseen.taken_over)))
        writer.start()
        try:
            with Display(
                console, list(planned.items()), metric=application.metric, higher_is_better=application.higher_is_better
            ) as display:
                drive(Recorder(campaign, journal, writer, display, Sharing(earlier)), execution, driver)
        finally:
            writer.close()
        results, sessions = list(journal.content.results.values()), tuple(journal.content.sessions)
    if all(result.status == "failed" for result in results):
        raise StudyFailed(
            f"study {study.name!r}: all {len(results)} trials failed; the first: {results[0].error}. Mend the cause, "
            "then run them again: zerotune retry STUDY --failed"
        )
    found = answer_at_hand(study, place, results, sessions)
    files = draw(found, place.folder(study))
    return replace(found, is_stored=writer.finish(partial(keep, found=found, files=files)))


def answer_at_hand(
    study: Study, place: Place, results: Iterable[TrialResult], sessions: tuple[Mapping[str, str], ...]
) -> Answer:
    """The answer of results at hand, equal to the one that `tuner.run.answer.answer` makes of the store."""
    origin = Origin(
        definition=definition_of(study),
        fingerprint=study.fingerprint,
        sessions=sessions,
        command=report_command(place.uri(study), study.name, place.store),
    )
    return answer_of(results, origin)


def opening(study: Study, place: Place, planned: int, known: int, taken_over: int) -> str:
    """What is about to happen, in one line."""
    done = f", {known} of them done before" if known else ""
    done += f", {taken_over} or more taken over from earlier trainings (--retrain trains them)" if taken_over else ""
    uri = place.tracking_uri or study.tracking_uri
    recorded = f"; results in {redact(uri)}" if uri else ""
    return (
        f"{study.name}: up to {pluralize(planned, 'trial')}{done}; journal and figures in "
        f"{place.folder(study)}{recorded}"
    )


def driver_for(foreseen: Foresight, place: Place) -> Driver:
    """The driver that was asked for; where nothing is left to be trained, no cluster is started for it."""
    return "serial" if foreseen.is_complete else place.driver


@contextmanager
def getting_ready(execution: Execution, driver: Driver) -> Iterator[None]:
    """Inside, the cluster that the driver needs is being started."""
    if driver == "serial" or execution.address is not None:
        yield
        return
    with started_ahead(execution.own_cores):
        yield


def drive(recorder: Recorder, execution: Execution, driver: Driver) -> None:
    """Hands the agenda to a driver."""
    if driver == "serial":
        run_serial(recorder, execution)
        return
    from ..execution.ray.tune_worker import run_ray

    run_ray(recorder, execution)


def draw(found: Answer, folder: Path) -> list[Path]:
    """Puts pages and tables into the study's folder; returns those that the store keeps.

    Pictures are drawn where they are asked for (`zerotune export`): they would take longer than many a study.
    """
    from ..reports.export import export  # plotly, which takes half a second, when nothing is left to train

    files = export(found.subject(), folder / "report", pictures=False)
    # Each page holds plotly whole, 5 MB: the store gets the report and the Pareto page, not every figure's own.
    return [file for file in files if file.suffix != ".html" or file.stem in ("report", "pareto_arms")]
