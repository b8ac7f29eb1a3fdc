"""A rule's cell whose learning rate is found by short trainings at its batch size (`tuner.search.guard`)."""

from ...trainers.applications.application import Application
from ...trainers.spec import Configuration
from ..analysis.lost_seeds import Guessing
from ..search.guard import Guard, probe_epochs
from ..search.method import Outcome
from ..study.lr_factor import LR_FACTOR, with_lr_factor
from .cell import Cell, Params


def guard_cell(cell: Cell, probes: int, application: Application) -> Cell:
    """Return a rule's cell with at most `probes` probes before its confirmations.

    A probe is lost if it diverged, scores no better than guessing, or fell past half-way from its best epoch to
    guessing.
    """
    configure_rule = cell.configure
    sign = 1.0 if application.higher_is_better else -1.0
    guessing = Guessing(
        score=application.chance_score, metric=application.metric, higher_is_better=application.higher_is_better
    )

    def is_lost(outcome: Outcome) -> bool:
        assert outcome.score is not None
        score, best = sign * outcome.score, sign * max((outcome.score, *outcome.epoch_scores))
        half_way = guessing.half_way(best)
        return not guessing.is_better(score) or (half_way is not None and sign * (score - half_way) < 0)

    def configure(params: Params) -> Configuration:
        return with_lr_factor(configure_rule(params), params.get(LR_FACTOR, 1.0))

    cell.role, cell.configure, cell.may_prune, cell.num_search = "probe", configure, True, probes
    cell.method = Guard(
        probes,
        epochs=cell.epochs,
        last_epoch=lambda: probe_epochs(configure_rule({}).schedule.warmup_epochs, cell.epochs),
        is_lost=is_lost,
    )
    return cell
