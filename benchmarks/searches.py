"""Is `comprehensive` at least as good as every other search? Regret on tables, real trainings, and other frameworks.

    python -m benchmarks.searches [--quick] [--sections tables,lenet,text,frameworks] [--repeats N] [--trials 12]
        [--peers grid,random,sobol,tpe,gp] [--budgets 8,12] [--data DIR] [--keep FILE] [--syne-tune PYTHON]

Its sections:

    tables      8 to 50 trainings on the tables of HPOBench (extra `tables`; nothing is trained)
    lenet       LeNet-5 on 3,000 MNIST images, batch size 512: equal trainings, each choice on five fresh seeds
    text        a small LSTM language model on WikiText-2 in a folder (--data, see studies/text_small.yaml), the same
    frameworks  LeNet against Optuna's optimize, Ray Tune with OptunaSearch and, with --syne-tune, Syne Tune in that
                Python: best score and seconds, in one run

`--keep` names a file that remembers the real trainings, so that an interrupted run goes on; `frameworks` trains anew.
Results depend on --seed alone. The last line is a figure; exit code 1 if `comprehensive` has more regret than a peer on
the tables with 12 trainings or more, by more than chance at one in a thousand.
"""

import argparse
import sys
from pathlib import Path

SECTIONS = ("tables", "lenet", "text", "frameworks")
SURE = 0.001
"""p-value below which a peer is better."""
FROM = 12
"""Trainings from which no peer may be better."""
REPEATS = {"tables": 24, "lenet": 5, "text": 3, "frameworks": 1}
QUICK = {"tables": 1, "lenet": 1, "text": 1, "frameworks": 1}
QUICK_BUDGETS = (8, 12)
QUICK_TRIALS = 4


def main() -> None:
    """Print the tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--peers", help="of the section tables")
    parser.add_argument("--budgets", help="trainings of a search in the section tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--syne-tune")
    arguments = parser.parse_args()
    asked = arguments.sections.split(",")
    if unknown := [name for name in asked if name not in SECTIONS]:
        parser.error(f"--sections names {unknown[0]!r}: there are {', '.join(SECTIONS)}")
    trials = arguments.trials or (QUICK_TRIALS if arguments.quick else 12)
    figure, fails = "nothing with a level was asked", False
    for name in asked:
        repeats = arguments.repeats or (QUICK if arguments.quick else REPEATS)[name]
        if name == "tables":
            from benchmarks.searches_tables import BUDGETS, PEERS, table_regret

            peers = arguments.peers.split(",") if arguments.peers else [*PEERS]
            budgets = [*(QUICK_BUDGETS if arguments.quick else BUDGETS)]
            if arguments.budgets:
                budgets = [int(number) for number in arguments.budgets.split(",")]
            p_values = table_regret(repeats, arguments.seed, budgets, peers)
            held = {place: p for place, p in p_values.items() if place[1] >= FROM}
            (peer, budget), p = min(held.items(), key=lambda one: one[1])
            figure = f"smallest p-value that a peer is better with {FROM} trainings or more: {p:.3f} ({peer}, {budget})"
            fails = p < SURE
        elif name == "frameworks":
            from benchmarks.searches_frameworks import table_frameworks

            table_frameworks("lenet", repeats, trials, arguments.data, arguments.keep, arguments.syne_tune)
        else:
            from benchmarks.searches_trained import PROBLEMS, Trainings, table_trained

            trained = Trainings(arguments.keep, arguments.data)
            table_trained(PROBLEMS[name], repeats, trials, trained, f"{name}: score on fresh seeds, {trials} trainings")
    print(f"\n{figure}")
    sys.exit(int(fails))


if __name__ == "__main__":
    main()
