"""Small tables of past trainings in AlgoPerf's layout, as tests write them."""

import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path

TABLE_HEADER = (
    "leaderboard,ruleset,submission,study,workload,trial,metric,direction,best_validation,test_at_best,steps,seconds,"
    "seconds_at_best,hyperparameters,validation_curve"
)


def table_line(**changes: object) -> list[str]:
    """Return a training that is 150 seconds from a BLEU of 30, with these columns changed."""
    line: dict[str, object] = {
        "leaderboard": "algoperf_v05",
        "ruleset": "external_tuning",
        "submission": "tuned_one",
        "study": 0,
        "workload": "wmt_pytorch",
        "trial": 1,
        "metric": "bleu",
        "direction": "max",
        "best_validation": 30.0,
        "test_at_best": 29.0,
        "steps": 1000,
        "seconds": 200,
        "seconds_at_best": 150,
        "hyperparameters": '{"learning_rate": 0.001}',
        "validation_curve": "10:1.0 100:29.5",
    }
    return [str(value) for value in {**line, **changes}.values()]


def write_table(folder: Path, lines: Iterable[list[str]]) -> None:
    """Write trials.csv.gz."""
    text = io.StringIO()
    csv.writer(text).writerows([TABLE_HEADER.split(","), *lines])
    (folder / "trials.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))


TARGETS = {"wmt": 30.8491, "ogbg": 0.28098}


def leaderboard_lines() -> list[list[str]]:
    """Return five studies on WMT and OGBG.

    Of tuned_one's trials the second reaches the target after 100 of 200 seconds, and the others end below it; the fifth
    is missing but in study 0 on OGBG. tuned_two has one trial, at nine tenths of the target. quick is not tuned and
    reaches the target in 300 seconds, poor ends at nine tenths of it after 400, and lossy is quick but for study 4 on
    WMT, which is missing.
    """
    lines = []
    for workload, target in TARGETS.items():
        for study in range(5):
            noise = 1 + 1e-5 * study
            place = {"workload": f"{workload}_jax", "study": study}
            shares = (0.8, 1.001, 0.95, 0.9, *((0.85,) if (workload, study) == ("ogbg", 0) else ()))
            for trial, share in enumerate(shares, start=1):
                lines.append(_line(place, "tuned_one", target, share * noise, trial=trial))
            lines.append(_line(place, "tuned_two", target, 0.9 * noise))
            own = {"ruleset": "self_tuning"}
            lines.append(_line(place, "quick", target, 1.002 * noise, seconds=300, **own))
            lines.append(_line(place, "poor", target, 0.9 * noise, seconds=400, **own))
            if (workload, study) != ("wmt", 4):
                lines.append(_line(place, "lossy", target, 1.002 * noise, seconds=300, **own))
    return lines


def _line(
    place: dict[str, object], arm: str, target: float, share: float, *, seconds: int = 200, **changes: object
) -> list[str]:
    """Return a training that ends with a share of the target, which it reaches half-way or at the end."""
    score, reached = share * target, seconds // 2 if arm == "tuned_one" else seconds
    return table_line(
        **place,
        submission=arm,
        best_validation=score,
        test_at_best=score - 1e-4 * target,
        seconds=seconds,
        seconds_at_best=reached,
        validation_curve=f"1:{0.01 * target} {reached}:{score}",
        **changes,
    )
