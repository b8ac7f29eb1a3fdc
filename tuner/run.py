"""Running a study: the only place that sees all parts.

study -> campaign -> driver -> journal -> store -> answer. A `Recorder` stands between the driver and the campaign: what
a driver asks for and tells passes through it, and so into the journal, the store and the terminal.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from rich.console import Console
from rich.text import Text

from trainers.applications import APPLICATIONS
from trainers.applications.registry import application_file, is_shipped
from trainers.data import DataError
from trainers.data.identity import content_identity, folder_identity
from trainers.pack_speed import PackSpeed
from tuner.answer import Answer, answer, stored_definition
from tuner.campaign import Campaign
from tuner.command_text import report_command
from tuner.compare import Row
from tuner.cost import Cost
from tuner.drivers.serial import run_serial
from tuner.drivers.work import Execution
from tuner.earlier import earlier_results
from tuner.errors import BadInput, StudyChanged, StudyFailed, ZerotuneError
from tuner.journal import Journal
from tuner.progress import Display
from tuner.provenance import provenance, training_facts
from tuner.reports.export import export
from tuner.reports.wording import counted
from tuner.sharing import Sharing, may_share, taken_over_at_once
from tuner.store import Store, Writer, default_tracking_uri, redact
from tuner.study import Study, difference, size_problems
from tuner.trial import Agenda, Progress, Trial, TrialResult
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


class BilledAgenda(Agenda, Protocol):
    """An agenda that knows what its own thinking took: a campaign, or a search that is made of campaigns."""

    def searcher_seconds(self, trial: Trial) -> float:
        """Seconds the method took to propose this trial."""
        ...


class Recorder:
    """The agenda as a driver sees it: the campaign, with everything written down on the way."""

    def __init__(
        self, campaign: BilledAgenda, journal: Journal, writer: Writer, display: Display, sharing: Sharing
    ) -> None:
        self._campaign = campaign
        self._journal = journal
        self._writer = writer
        self._display = display
        self._sharing = sharing

    def ask(self) -> Trial | Literal["wait", "done"]:
        """The next trial to be trained; those whose result is known, or is taken over, are told on the way."""
        while isinstance(trial := self._sharing.next_released() or self._campaign.ask(), Trial):
            known = self._known(trial)
            if known is not None:
                self._campaign.tell(known)
                self._display.finished(known, replayed=True)
                continue
            if may_share(trial, self._campaign, self._journal.content):
                if (found := self._sharing.find(trial)) is not None:
                    self.tell(found)
                    continue
                if self._sharing.put_off(trial):
                    continue
                self._sharing.begin(trial)
            self._journal.start(trial.id)
            self._display.started(trial)
            return trial
        return "wait" if self._sharing.is_waiting else trial

    def _known(self, trial: Trial) -> TrialResult | None:
        """The result in the study's own journal, if it is to count."""
        known = self._journal.content.results.get(trial.id)
        taken_over = known is not None and known.reused_from is not None
        return None if taken_over and self._sharing.trains_everything else known

    def may_prune(self, trial: Trial) -> bool:
        """Whether every epoch must be reported by itself."""
        return self._campaign.may_prune(trial)

    def report(self, progress: Progress) -> bool:
        """Writes epochs down, then asks the campaign whether the trial goes on."""
        self._journal.progress(progress.trial.id, progress.new_epochs)
        self._display.progressed(progress)
        return self._campaign.report(progress)

    def packs_measured(self, trial: Trial, speed: PackSpeed) -> None:
        """Writes down and says how fast packs of such trials are."""
        self._journal.packs(trial.id, {**asdict(speed), "best": speed.best})
        self._display.note(pack_text(trial, speed))

    def tell(self, result: TrialResult) -> None:
        """Writes a result down, with the searcher's own time billed to it, then tells the campaign."""
        searcher = Cost(searcher_seconds=self._campaign.searcher_seconds(result.trial))
        result = self._journal.finish(replace(result, cost=result.cost + searcher))
        self._sharing.end(result)
        self._campaign.tell(result)
        self._writer.submit(result)
        self._display.finished(result)


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


def run_study(study: Study, place: Place, console: Console, *, retrain: bool = False) -> Answer:
    """Runs what is missing of a study, and gives its answer.

    Whatever ends it early, the journal holds all that was measured, and running it again goes on from there.

    Args:
        study: the definition.
        place: where it lives and runs.
        console: what it says goes there.
        retrain: whether every trial is trained by itself, those too whose results were taken over.

    Raises:
        ZerotuneError: as a sentence, whatever the user can mend.
        KeyboardInterrupt: the user stopped it; it can be resumed.
    """
    execution = execution_of(study, place)
    _, data = check_workload(study, execution.data_folder)
    application = APPLICATIONS[study.application]
    definition = stored_definition(study, metric=application.metric, higher_is_better=application.higher_is_better)
    methods = {arm.name: arm.method for arm in study.arms}
    with getting_ready(execution, place.driver), closing(Journal(place.folder(study))) as journal:
        session = {**provenance(), **training_facts(study, data)}
        begin(study, journal, session)
        tell_damage(journal, console)
        store = Store(place.uri(study), study.name, study.fingerprint, definition, methods)
        store.keep_sessions(journal.content.sessions)
        campaign = Campaign(study, known=journal.content.results)
        planned: dict[tuple[str, int], int] = {}
        for cell in campaign.cells:
            planned[cell.arm, cell.batch_size] = planned.get((cell.arm, cell.batch_size), 0) + cell.planned
        known = journal.content.results
        earlier = None if retrain else earlier_results(study, place.store, session, on_a_cluster=bool(place.address))
        at_once = taken_over_at_once(Campaign(study, known), journal.content, earlier) if earlier else 0
        console.print(Text(opening(study, place, sum(planned.values()), len(known), at_once)))
        writer = Writer(store)
        try:
            with Display(
                console, list(planned.items()), metric=application.metric, higher_is_better=application.higher_is_better
            ) as display:
                drive(Recorder(campaign, journal, writer, display, Sharing(earlier)), execution, place.driver)
        finally:
            writer.close()
        results = list(journal.content.results.values())
    if all(result.status == "failed" for result in results):
        raise StudyFailed(
            f"study {study.name!r}: all {len(results)} trials failed; the first: {results[0].error}. Mend the cause, "
            f"move {place.folder(study)} away, and run the study anew"
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


def pack_text(trial: Trial, speed: PackSpeed) -> str:
    """What was measured of packs, in one line.

    >>> from types import SimpleNamespace
    >>> trial = SimpleNamespace(batch_size=4, config=SimpleNamespace(optimizer=SimpleNamespace(name="date")))
    >>> pack_text(trial, PackSpeed(device="CPU", alone=0.003, packed={8: 0.0012}))
    'B=4 date: in packs of up to 8, measured to give 2.5 times the trainings an hour here'
    """
    what = f"B={trial.batch_size} {trial.config.optimizer.name}"
    if speed.problem:
        return f"{what}: trained alone, since {speed.problem}"
    if speed.best == 1:
        return f"{what}: trained alone, measured to be as fast as packs here"
    gain = f"measured to give {speed.gain:.1f} times the trainings an hour here"
    return f"{what}: in packs of up to {speed.best}, {gain}"


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


__all__ = ["Driver", "Place", "Recorder", "ZerotuneError", "run_study"]
