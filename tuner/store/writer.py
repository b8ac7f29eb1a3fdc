"""Write a study's results to MLflow, from the driver process only."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..addresses import redact
from ..errors import BadInput
from ..trial import TrialResult, canonical_json
from . import record
from .connection import artifact_location, connect, translate_errors
from .owner import Claim, Owner, claim_runs, describe_copy, describe_others, describe_race, owner_tags
from .runs import KnownRun, StoredRun, find_runs
from .views import REPORT, TRAINING, build_shared_views, escape_note, study_note

if TYPE_CHECKING:
    from mlflow.entities import Experiment

NOTE = "mlflow.note.content"
"""Tag that the UI shows as the description of an experiment or a run, in Markdown."""
_BATCH_METRICS = 1000
_LAST_BATCH_METRICS = 800
"""Metrics in the last request, which also carries parameters and tags. MLflow accepts 1,000 of them in all."""


class Store:
    """A study's experiment in MLflow, open for writing.

    Runs are found by the tags `zerotune.fingerprint`, `zerotune.journal` and `zerotune.trial`. A study that is run
    again finds its runs. A study whose definition changed does not mix with its former runs under the same name, nor do
    two journals of one study. Every method raises `Unreachable` if the store fails.

    Runs of a version that kept no journal's identity are adopted by the first journal that holds their results. A
    journal that lacks results under its identity is a copy, whose original has gone on: it takes another identity.

    Args:
        tracking_uri: `sqlite:///FILE`, a database or an MLflow server.
        study_name: name of the study and of the experiment.
        resolved_study: the study's resolved definition as plain JSON values. Stored for `read_results`, and as the
            artifact `study.json`.
        methods: tuning method by arm, for the tag `method`.
        owner: the journal that the results come from; without one, the runs have no owner.

    Attributes:
        notes: sentences about results of other journals, which do not count.

    Raises:
        BadInput: the address is invalid, or the experiment was deleted in MLflow.
        Unreachable: the store does not answer.
    """

    def __init__(
        self,
        tracking_uri: str,
        study_name: str,
        fingerprint: str,
        resolved_study: Mapping[str, Any],
        methods: Mapping[str, str] = MappingProxyType({}),
        owner: Owner | None = None,
    ) -> None:
        self._uri = tracking_uri
        self._study = study_name
        self._fingerprint = fingerprint
        self._methods = methods
        self._trials: dict[str, KnownRun] = {}
        self._arms: dict[tuple[str, int], str] = {}
        self._study_run = ""
        self._owner = owner
        self.notes: list[str] = []
        self._client = connect(tracking_uri, create=True)
        with translate_errors(tracking_uri, f"open the study {study_name!r}"):
            self._experiment_id = self._open_experiment()
            claim = self._find_runs()
            if owner is not None and claim.num_strange:
                self.notes.append(describe_copy(claim, tracking_uri, owner))
                owner.fork()
                claim = self._find_runs()
            elif claim.others:
                self.notes.append(describe_others(claim, tracking_uri, study_name))
            if not self._study_run:
                self._study_run = self._create_study_run(resolved_study)
                return
            if self._keep_text(record.TAG_DEFINITION, canonical_json(resolved_study)):
                self._client.log_dict(self._study_run, dict(resolved_study), "study.json")
            if owner is not None:
                self._log(self._study_run, [], {}, owner_tags(owner))  # the folder may have been moved

    def write_sessions(self, sessions: Sequence[Mapping[str, str]]) -> None:
        """Write the programs and machines that ran the study, replacing the stored ones."""
        with translate_errors(self._uri, f"keep the sessions of {self._study!r}"):
            self._keep_text(record.TAG_SESSIONS, canonical_json(list(sessions)))

    def write_progress(
        self, *, num_results: int, num_planned: int | None = None, has_ended: bool | None = None
    ) -> None:
        """Write how many results there should be, so that a reader knows what is missing. None leaves what is there.

        Args:
            num_results: number of results in the journal.
            num_planned: number of trials planned, if none fails and the budget suffices.
            has_ended: whether the study has ended.
        """
        ended = None if has_ended is None else str(has_ended).lower()
        values = {record.TAG_RESULTS: num_results, record.TAG_PLANNED: num_planned, record.TAG_ENDED: ended}
        tags = {tag: str(value) for tag, value in values.items() if value is not None}
        with translate_errors(self._uri, f"keep the progress of {self._study!r}"):
            self._log(self._study_run, [], {}, tags)

    def write(self, result: TrialResult) -> bool:
        """Write one trial; return False if it is already written.

        A result that differs from the stored one (a failed trial that was run again) replaces it. MLflow cannot change
        metrics, so the former run is deleted. If the store fails, the next `sync` repairs a partial write. A trial
        whose arm's run was deleted in MLflow moves below a new one.
        """
        trial = result.trial
        exact = record.record_tags(result)
        text = record.join_text(record.TAG_RECORD, exact)
        known = self._trials.get(trial.id)
        start, end = record.start_and_end(result)
        with translate_errors(self._uri, f"write trial {trial.name!r}"):
            parent = self._arm_run(result)
            if known and known.record == text and not known.is_running:
                if known.parent != parent:
                    self._client.set_tag(known.run_id, record.TAG_PARENT, parent)
                    self._trials[trial.id] = replace(known, parent=parent)
                return False
            if known:
                self._client.delete_run(known.run_id)
            tags = {
                **self._run_tags(trial.arm, trial.batch_size),
                **record.tags(result),
                record.TAG_PARENT: parent,
            }
            run_id = self._create_run(record.run_name(trial), tags, start)
            written = KnownRun(run_id=run_id, record=text, parent=parent, is_running=True)
            self._trials[trial.id] = written
            self._log(run_id, record.points(result), record.params(trial), exact)
            self._client.set_terminated(run_id, status=record.RUN_STATUS[result.status], end_time=end or None)
            self._trials[trial.id] = replace(written, is_running=False)
        return True

    def sync(self, results: Iterable[TrialResult]) -> int:
        """Write the results that the store lacks, and return how many; close trial runs that a crash left open.

        Raises:
            BadInput: another copy of the journal wrote to the store meanwhile; opening it again keeps both apart.
        """
        with translate_errors(self._uri, f"list the runs of {self._study!r}"):
            claim = self._find_runs()
        if claim.num_strange and self._owner is not None:
            raise BadInput(describe_race(claim, self._uri, self._owner))
        written = sum(self.write(result) for result in results)
        with translate_errors(self._uri, f"close stale runs of {self._study!r}"):
            for trial_id, known in self._trials.items():
                if known.is_running:
                    self._client.set_terminated(known.run_id, status="KILLED")
                    self._trials[trial_id] = replace(known, is_running=False)
        return written

    def summarise(
        self, arm: str, batch_size: int, metrics: Mapping[str, float], tags: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Write an arm's summary to its parent run, without non-finite values.

        Raises:
            BadInput: no trial of this arm at this batch size has been written.
        """
        if (arm, batch_size) not in self._arms:
            raise BadInput(f"study {self._study!r} has no trial of arm {arm!r} at batch size {batch_size} to summarise")
        points = record.summary_points(metrics)
        with translate_errors(self._uri, f"summarise arm {arm!r}"):
            self._log(self._arms[arm, batch_size], points, {}, tags)

    def summarise_study(
        self, metrics: Mapping[str, float], tags: Mapping[str, str], sentences: Sequence[str], report: str = REPORT
    ) -> None:
        """Write the answer to the study's run, with its sentences and a link to the report as the description."""
        link = f"#/experiments/{self._experiment_id}/runs/{self._study_run}/artifacts/{report}?{TRAINING}"
        first, *others = map(escape_note, sentences)
        note = "\n\n".join([first, f"[Report with all figures]({link})", *others])  # the UI shows the beginning
        texts = {name: text[: record.TAG_PART_CHARACTERS] for name, text in {**tags, NOTE: note}.items()}
        with translate_errors(self._uri, f"summarise {self._study!r}"):
            self._log(self._study_run, record.summary_points(metrics), {}, texts)

    def log_artifacts(self, files: Iterable[Path], folder: str | None = None) -> None:
        """Store files or folders of the whole study (figures, tables, reports) in the run "study: NAME"."""
        with translate_errors(self._uri, f"store the files of {self._study!r}"):
            for file in files:
                self._client.log_artifact(self._study_run, str(file), folder)

    def finish(self) -> None:
        """Mark the study's and the arms' runs as finished, and the study as ended with the results that are written."""
        with translate_errors(self._uri, f"finish {self._study!r}"):
            ends: dict[str, int] = {}
            for run in self._claim_runs().ours:
                parent = run.tags.get(record.TAG_PARENT)
                if parent and run.end_time:
                    ends[parent] = max(ends.get(parent, 0), run.end_time)
            for run_id in (*self._arms.values(), self._study_run):
                self._client.set_terminated(run_id, end_time=ends.get(run_id))
        if self._owner is not None:
            self.write_progress(num_results=len(self._trials), has_ended=True)

    def _open_experiment(self) -> str:
        experiment: Experiment | None = self._client.get_experiment_by_name(self._study)
        if experiment is None:
            tags = {
                record.TAG_STUDY: self._study,
                "mlflow.experimentKind": "custom_model_development",
                NOTE: study_note(self._study),
                **build_shared_views(),
            }
            return str(self._client.create_experiment(self._study, artifact_location(self._uri), tags))
        if experiment.lifecycle_stage == "deleted":
            raise BadInput(
                f"the MLflow experiment {self._study!r} at {redact(self._uri)} was deleted: restore it with "
                f"'mlflow experiments restore --experiment-id {experiment.experiment_id}', or rename the study"
            )
        wanted = {record.TAG_STUDY: self._study, **build_shared_views()}  # an earlier version had other views
        for tag, value in wanted.items():
            if experiment.tags.get(tag) != value:
                self._client.set_experiment_tag(experiment.experiment_id, tag, value)
        return str(experiment.experiment_id)

    def _claim_runs(self) -> Claim:
        runs = find_runs(self._client, self._experiment_id, self._fingerprint).stored()
        return claim_runs(self._client, runs, self._owner)

    def _find_runs(self) -> Claim:
        """Find this journal's study, arms and trials; nothing is done if another copy of it wrote some of them."""
        claim = self._claim_runs()
        if claim.num_strange:
            return claim
        runs = claim.ours
        in_use = {self._study_run, *self._arms.values(), *(run.tags.get(record.TAG_PARENT) for run in runs)}
        studies: list[StoredRun] = []
        arms: dict[tuple[str, int], list[StoredRun]] = {}
        self._trials.clear()
        for run in runs:
            tags = run.tags
            if tags.get("role") == record.ROLE_STUDY:
                studies.append(run)
            elif tags.get("role") == record.ROLE_ARM:
                arms.setdefault((tags["arm"], int(tags["batch_size"])), []).append(run)
            elif record.TAG_TRIAL in tags:
                text, parent = record.join_text(record.TAG_RECORD, tags), tags.get(record.TAG_PARENT, "")
                is_running = run.status == "RUNNING"
                found = KnownRun(run_id=run.run_id, record=text, parent=parent, is_running=is_running)
                self._take(tags[record.TAG_TRIAL], found)
        only = {key: self._only(found, in_use) for key, found in arms.items()}
        self._arms = {key: run.run_id for key, run in only.items()}
        for key, run in only.items():
            if not self._num_params(run):  # the run was created, but a failure came before this step
                self._log_arm(*key)
        if studies:
            self._study_run = self._only(studies, in_use).run_id
        return claim

    def _only(self, found: list[StoredRun], in_use: Container[str | None]) -> StoredRun:
        """Keep one run of a study or an arm, the one in use or the most complete; see `_take` for why."""
        kept = found[0]
        if len(found) > 1:
            kept = max(found, key=lambda run: (run.run_id in in_use, len(run.tags), self._num_params(run)))
        for run in found:
            if run is not kept:
                self._client.delete_run(run.run_id)
        return kept

    def _num_params(self, run: StoredRun) -> int:
        return len(self._client.get_run(run.run_id).data.params)

    def _take(self, trial_id: str, found: KnownRun) -> None:
        """Keep one run per trial, because a request repeated after a timeout may have created two."""
        other = self._trials.get(trial_id)
        kept = found if other is None or other.is_running else other
        self._trials[trial_id] = kept
        if other is not None:
            self._client.delete_run((found if kept is other else other).run_id)

    def _create_study_run(self, resolved_study: Mapping[str, Any]) -> str:
        text = record.split_text(record.TAG_DEFINITION, canonical_json(resolved_study))
        owner = {} if self._owner is None else owner_tags(self._owner)
        run_id = self._create_run(f"study: {self._study}", {"role": record.ROLE_STUDY, **owner, **text}, None)
        self._client.log_dict(run_id, dict(resolved_study), "study.json")
        return run_id

    def _run_tags(self, arm: str, batch_size: int) -> dict[str, str]:
        method = {"method": self._methods[arm]} if arm in self._methods else {}
        return {"arm": arm, "batch_size": str(batch_size), **method}

    def _arm_run(self, result: TrialResult) -> str:
        arm, batch_size = result.trial.arm, result.trial.batch_size
        if (arm, batch_size) not in self._arms:
            tags = {**self._run_tags(arm, batch_size), "role": record.ROLE_ARM}
            start, _ = record.start_and_end(result)
            self._arms[arm, batch_size] = self._create_run(f"{arm} B={batch_size}", tags, start)
            self._log_arm(arm, batch_size)
        return self._arms[arm, batch_size]

    def _log_arm(self, arm: str, batch_size: int) -> None:
        params = {"arm": arm, "batch_size": str(batch_size)}
        self._client.log_batch(self._arms[arm, batch_size], params=_params(params))

    def _keep_text(self, prefix: str, text: str) -> bool:
        """Store a text in tags of the study's run, replacing the old text; return whether it changed."""
        parts = record.split_text(prefix, text)
        known = self._client.get_run(self._study_run).data.tags
        surplus = [tag for tag in known if tag.startswith(f"{prefix}.") and tag not in parts]
        changed = {tag: part for tag, part in parts.items() if known.get(tag) != part}
        for tag in surplus:
            self._client.delete_tag(self._study_run, tag)
        if changed:
            self._log(self._study_run, [], {}, changed)
        return bool(surplus or changed)

    def _create_run(self, name: str, tags: Mapping[str, str], start: int | None) -> str:
        ours = {
            "mlflow.source.name": "zerotune",
            record.TAG_STUDY: self._study,
            record.TAG_FINGERPRINT: self._fingerprint,
            **({} if self._owner is None else {record.TAG_JOURNAL: self._owner.identity}),
        }
        run = self._client.create_run(self._experiment_id, start_time=start, tags={**ours, **tags}, run_name=name)
        return str(run.info.run_id)

    def _log(
        self, run_id: str, points: list[record.MetricPoint], params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Log metrics in as few requests as MLflow allows, with parameters and tags in the last one."""
        from mlflow.entities import Metric, RunTag

        metrics = [Metric(p.key, p.value, p.timestamp, p.step) for p in points]
        while len(metrics) > _LAST_BATCH_METRICS:
            self._client.log_batch(run_id, metrics=metrics[:_BATCH_METRICS])
            metrics = metrics[_BATCH_METRICS:]
        run_tags = [RunTag(key, value) for key, value in tags.items()]
        self._client.log_batch(run_id, metrics=metrics, params=_params(params), tags=run_tags)


def _params(values: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, value) for name, value in values.items()]
