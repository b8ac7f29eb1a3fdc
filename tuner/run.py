"""Running a study: the only place that sees all parts.

study -> campaign -> driver -> journal -> store -> answer. A `tuner.recorder.Recorder` stands between the driver and the
campaign.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from trainers.applications import APPLICATIONS
from trainers.applications.registry import application_file, is_shipped
from trainers.data import DataError
from trainers.data.identity import content_identity, folder_identity
from tuner.answer import Answer, answer, stored_definition
from tuner.campaign import Campaign
from tuner.command_text import report_command
from tuner.compare import Row
from tuner.cost import Cost
from tuner.drivers.serial import run_serial
from tuner.drivers.work import Execution
from tuner.earlier import earlier_results
from tuner.errors import BadInput, StudyChanged, StudyFailed
from tuner.journal import Journal
from tuner.progress import Display
from tuner.provenance import provenance, training_facts
from tuner.recorder import Recorder
from tuner.reports.export import export
from tuner.reports.wording import counted
from tuner.retry import take_back_failed
from tuner.sharing import Foresight, Sharing, foresee
from tuner.store import Store, Writer, default_tracking_uri, redact
from tuner.study import Study, difference, size_problems
from tuner.workload import rehearsed_data

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
        """The MLflow store of a study run here."""
        return self.tracking_uri or study.tracking_uri or default_tracking_uri(self.store)

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
            data = rehearsed_data(study, folder)
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
        max_concurrent=study.resources.max_concurrent,
        # absolute: a worker has another working directory
        data_folder=None if folder is None else str(Path(folder).resolve()),
        checkpoints=place.folder(study).resolve() / "checkpoints",
        address=place.address,
        application=application_file(study.application),
        packing=study.resources.packing,
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
    old = journal.content.definition
    if not old:
        journal.begin(study.content(), session)
        return
    changes = difference(dict(old), study.content())
    if changes:
        raise StudyChanged(
            f"study {study.name!r} was begun with another definition:\n"
            + "\n".join(f"  {line}" for line in changes)
            + f"\nChange it back to resume it, give it another name, or move {journal.path.parent} away to start anew."
        )
    journal.resume(session)


def tell_damage(journal: Journal, console: Console) -> None:
    """Says it where lines of a journal could not be read."""
    if damaged := journal.content.unreadable_lines:
        console.print(f"{journal.path}: {damaged} damaged lines skipped; what they held runs again", style="yellow")


def run_study(
    study: Study, place: Place, console: Console, *, retrain: bool = False, retry_failed: bool = False
) -> Answer:
    """Runs what is missing of a study, and gives its answer.

    Whatever ends it early, the journal holds all that was measured, and running it again goes on from there.

    Args:
        study: the definition.
        place: where it lives and runs.
        console: what it says goes there.
        retrain: whether every trial is trained by itself, those too whose results were taken over.
        retry_failed: whether the trials that failed are run again.

    Raises:
        ZerotuneError: as a sentence, whatever the user can mend.
        KeyboardInterrupt: the user stopped it; it can be resumed.
    """
    execution = execution_of(study, place)
    _, data = check_workload(study, execution.data_folder)
    application = APPLICATIONS[study.application]
    definition = stored_definition(study, metric=application.metric, higher_is_better=application.higher_is_better)
    methods = {arm.name: arm.method for arm in study.arms}
    with closing(Journal(place.folder(study))) as journal, ExitStack() as ready:
        session = {**provenance(), **training_facts(study, data)}
        begin(study, journal, session)
        tell_damage(journal, console)
        if retry_failed:
            console.print(take_back_failed(study, journal, execution.checkpoints))
        known = journal.content.results
        new_campaign = partial(Campaign, study, known, journal.content.first_failures)
        earlier = None if retrain else earlier_results(study, place.store, session, on_a_cluster=bool(place.address))
        foreseen = foresee(new_campaign(), journal.content, earlier)
        driver = driver_for(foreseen, place)
        ready.enter_context(getting_ready(execution, driver))
        store = Store(place.uri(study), study.name, study.fingerprint, definition, methods)
        store.keep_sessions(journal.content.sessions)
        campaign = new_campaign()
        planned: dict[tuple[str, int], int] = {}
        for cell in campaign.cells:
            planned[cell.arm, cell.batch_size] = planned.get((cell.arm, cell.batch_size), 0) + cell.planned
        console.print(
            Text(
                opening(
                    study, place, sum(planned.values()), len(known) - len(journal.content.retried), foreseen.taken_over
                )
            )
        )
        writer = Writer(store)
        try:
            with Display(
                console, list(planned.items()), metric=application.metric, higher_is_better=application.higher_is_better
            ) as display:
                drive(Recorder(campaign, journal, writer, display, Sharing(earlier)), execution, driver)
        finally:
            writer.close()
        results = list(journal.content.results.values())
    if all(result.status == "failed" for result in results):
        raise StudyFailed(
            f"study {study.name!r}: all {len(results)} trials failed; the first: {results[0].error}. Mend the cause, "
            "then run them again: zerotune retry STUDY --failed"
        )
    store.sync(results)
    found = answer(
        place.uri(study),
        study.name,
        fingerprint=study.fingerprint,
        with_epochs=True,
        command=report_command(place.uri(study), study.name, place.store),
    )
    keep(store, found, place.folder(study) / "report")
    return found


def opening(study: Study, place: Place, planned: int, known: int, taken_over: int) -> str:
    """What is about to happen, in one line."""
    done = f", {known} of them done before" if known else ""
    done += f", {taken_over} or more taken over from earlier trainings (--retrain trains them)" if taken_over else ""
    uri = place.tracking_uri or study.tracking_uri
    recorded = f"; results in {redact(uri)}" if uri else ""
    return (
        f"{study.name}: up to {counted(planned, 'trial')}{done}; journal and figures in {place.folder(study)}{recorded}"
    )


def driver_for(foreseen: Foresight, place: Place) -> Driver:
    """The driver that was asked for; where nothing is left to be trained, no cluster is started for it."""
    return "serial" if foreseen.is_complete else place.driver


@contextmanager
def getting_ready(execution: Execution, driver: Driver) -> Iterator[None]:
    """Inside, the cluster that the driver needs is being started."""
    if driver == "serial":
        yield
        return
    from tuner.drivers.cluster import started_ahead  # ray takes a second to import

    with started_ahead(execution):
        yield


def drive(recorder: Recorder, execution: Execution, driver: Driver) -> None:
    """Hands the agenda to a driver."""
    if driver == "serial":
        run_serial(recorder, execution)
        return
    from tuner.drivers.ray_tune import run_ray

    run_ray(recorder, execution)


def keep(store: Store, found: Answer, folder: Path) -> None:
    """Puts the figures into the study's folder and the store, and each arm's summary on its parent run."""
    files = export(found.subject(), folder)
    # Each page holds plotly whole, 5 MB: the store gets the report and the Pareto page, not every figure's own.
    kept = [file for file in files if file.suffix != ".html" or file.stem in ("report", "pareto_arms")]
    store.log_artifacts(kept, "report")
    for row in found.comparison.rows:
        if row.search.trials or row.num_seeds:
            store.summarise(row.arm, row.batch_size, summary(row))
    for (arm, batch_size), cost in found.comparison.ledger.arms().items():
        store.summarise(arm, batch_size, spent(cost))
    store.finish()


def spent(cost: Cost) -> Mapping[str, float]:
    """All that an arm spent at a batch size, whatever its trials were for, as metrics of its parent run."""
    amounts = {**asdict(cost), "modelled_joules": cost.modelled_joules}
    return {f"spent/{name}": float(amount) for name, amount in amounts.items() if amount is not None}


def summary(row: Row) -> Mapping[str, float]:
    """A row's figures as metrics of the arm's parent run."""
    figures = {"search_trials": float(row.search.trials)}
    if row.score is not None:
        figures["test_score"] = row.score.mean
    if row.bill is not None:
        figures |= {f"cost_to_a_model/{name}": value for name, value in row.bill.items()}
    for currency, saved in row.savings.items():
        figures[f"saved/{currency}"] = saved.share
        figures[f"saved_with_baseline/{currency}"] = saved.share_with_baseline
    return figures
