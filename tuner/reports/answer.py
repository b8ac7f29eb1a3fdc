"""The answer of a study: what every report, table and figure is about, and what a notebook shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..analysis.comparison import Comparison
from ..analysis.provenance import Origin
from ..trial import TrialResult
from .text.findings import findings
from .text.format import format_sizes
from .text.missing import describe_unconfirmed
from .text.verdict import first_lines, verdict_text

if TYPE_CHECKING:
    from pandas import DataFrame

    from .notebook import Figures


@dataclass(frozen=True, kw_only=True, repr=False)
class Answer:
    """The findings of a study as tables, figures and sentences, with the underlying results.

    Returned by `run_study` and `read_answer`; notebooks display it as a table. Use `dataclasses.replace(answer,
    cost="flops")` to get the same answer with savings and figures in another currency.

    Attributes:
        comparison: scores, verdicts, bills and savings of every arm at every batch size.
        results: all trials, in the order they finished; learning curves need their epochs.
        origin: what is needed to reproduce the results.
        cost: the currency of savings and cost axes, a name in `tuner.cost.CURRENCIES`.
        missing: what to know before the rest: that the study is unfinished, results were deleted, arms are unconfirmed;
            empty for a complete study.
        is_stored: whether the whole answer is in the MLflow store. False if the store did not answer during the run.
    """

    comparison: Comparison
    results: Sequence[TrialResult]
    origin: Origin
    cost: str = "device_seconds"
    missing: tuple[str, ...] = ()
    is_stored: bool = True

    @property
    def verdict(self) -> str:
        """Whether tuning can be skipped at each batch size and in the whole study, with the evidence and the saving."""
        return verdict_text(self.comparison, cost=self.cost)

    @property
    def first_lines(self) -> tuple[str, ...]:
        """The verdict by line: one a batch size, then one for the whole study if there are several."""
        return first_lines(self.comparison, cost=self.cost)

    @property
    def findings(self) -> tuple[str, ...]:
        """The other findings, one sentence per arm and batch size."""
        return findings(self.comparison, cost=self.cost)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The sentences of `missing` that keep the verdict from being final: unfinished, or results are not there.

        An arm without a score is no such reason: the verdict on it says so.
        """
        unconfirmed = describe_unconfirmed(self.comparison)
        return tuple(sentence for sentence in self.missing if sentence not in unconfirmed)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to do next, at most three sentences that end in a command where there is one."""
        from .text.next_steps import next_steps

        return next_steps(self)

    # Tables and figures are imported on request, because pandas and plotly take half a second.

    @property
    def table(self) -> "DataFrame":
        """The arms by batch size, baseline first, with the columns of comparison.csv."""
        from .notebook import arms_frame

        return arms_frame(self.comparison)

    @property
    def trials(self) -> "DataFrame":
        """All trials, with the columns of trials.csv."""
        from .notebook import trials_frame

        return trials_frame(self.results)

    @property
    def bill(self) -> "DataFrame":
        """The cost by arm, batch size and role, total last, with the columns of ledger.csv."""
        from .notebook import bill_frame

        return bill_frame(self.comparison)

    @cached_property
    def figures(self) -> "Figures":
        """The figures for which the study has data: plotly objects by name, such as "pareto_arms"."""
        from .notebook import Figures

        return Figures(self)

    def __repr__(self) -> str:
        facts = self.comparison.facts
        sizes = format_sizes(facts.batch_sizes)
        incomplete = ", incomplete" if self.missing else ""
        return f"<Answer {facts.name}: {len(facts.arms)} arms at B={sizes}, {len(self.results)} trials{incomplete}>"

    def _repr_html_(self) -> str:
        from .notebook import answer_html

        return answer_html(self)
