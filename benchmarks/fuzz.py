"""For any study file or journal, the program gives a result or a one-sentence error.

Three of four files are studies (all shipped ones, mutated, and hand-made bombs), loaded up to the first trial. The
others are mutated journals of small synthetic studies, resumed and finished up to the printed answer
(`benchmarks.fuzz_cases`). `--kind` chooses other cases, which change what surrounds a study rather than its bytes:

    training  what trains it changes between two runs (`benchmarks.fuzz_training`)
    owners    journals and MLflow runs of several owners meet (`benchmarks.fuzz_owners`)
    numbers   journals and applications give numbers that are none (`benchmarks.fuzz_numbers`)

    python -m benchmarks.fuzz [--kind files] [--files 100000] [--seed 0] [--only NUMBER]

A file fails if the program

- raises anything but a one-sentence error for the user,
- prints control sequences that a terminal would obey,
- accepts a damaged result as the original,
- takes more than 5 seconds of processor time, or more than 1 GiB of memory,
- hangs or dies,
- breaks what its kind promises: a change is named, each owner counts its own, nothing but numbers is
  chosen or shown.

Files are read in a child process with these limits. If it is lost, another continues with the next file. `--only
NUMBER` writes a file out and shows its outcome, including the traceback.
"""

import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Annotated

import torch
import typer

from benchmarks import turns
from benchmarks.fuzz_cases import Case, Kind, Wholes, load, resume, wholes
from benchmarks.fuzz_numbers import FIELDS, PARTS, resume_with, train_with
from benchmarks.fuzz_owners import MIXTURES, mix_owners
from benchmarks.fuzz_training import CHANGES, change_training
from benchmarks.mutations import bombs
from zerotune.tuner.errors import ZerotuneError
from zerotune.tuner.store import default_tracking_uri
from zerotune.tuner.store.connection import connect
from zerotune.tuner.study import load_study

CPU_SECONDS = 5.0
"""Processor time limit of a file; wall time would depend on the machine's other work."""
LONG_CPU_SECONDS = 30.0
"""That of a case of the other kinds, which runs several commands."""
HANG_SECONDS = 120.0
MEMORY_BYTES = 2**30
"""Memory that a child may request beyond what it holds at its start."""
MUTATIONS = {"training": tuple(CHANGES), "owners": tuple(MIXTURES), "numbers": (*FIELDS, *PARTS)}
SENTENCE_LINES = 21
LINE_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a file; `failure` is empty if all is well."""

    number: int
    kind: str
    mutation: str
    found: str
    failure: str
    cpu_milliseconds: float
    peak_bytes: int


class _TooLong(BaseException):
    """The file used up its processor time. Not an `Exception`, so that the program does not catch it."""


def sentence_problem(text: str) -> str:
    """Return why an error text is unfit for a user; empty if it is fit."""
    lines = text.split("\n")
    if not text.strip() or "Traceback" in text:
        return f"no sentence: {text[:200]!r}"
    if len(lines) > SENTENCE_LINES or max(map(len, lines)) > LINE_CHARACTERS:
        return f"{len(lines)} lines of up to {max(map(len, lines))} characters: {text[:200]!r}"
    if not all(line.isprintable() for line in lines):
        return f"characters that no terminal should get: {text[:200]!r}"
    return ""


def judge(read: Callable[[], str], limit: float = CPU_SECONDS) -> tuple[str, str]:
    """Return the result of reading, and what was wrong with it."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        return read(), ""
    except ZerotuneError as error:
        return "a sentence", sentence_problem(str(error))
    except _TooLong:
        return "failure", f"more than {limit:g} s of processor time:\n{traceback.format_exc(-8)}"
    except Exception:
        return "failure", traceback.format_exc(-8)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def peak_bytes() -> int:
    """Return the most memory that this process ever held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def reader(case: Case, folder: Path, given: Wholes) -> Callable[[], str]:
    """Return what reads a case in an empty folder."""
    draw = random.Random(case.content)
    match case.kind:
        case "study":
            return partial(load, case, folder)
        case "journal":
            return partial(resume, case, folder, given)
        case "training":
            return partial(change_training, case.mutation, draw, folder)
        case "owners":
            return partial(mix_owners, case.mutation, draw, folder, given.empty_store)
    if case.mutation in FIELDS:
        return partial(resume_with, case.mutation, draw, folder, draw.choice(given.journals))
    return partial(train_with, case.mutation, draw, folder)


def outcome(number: int, case: Case, folder: Path, given: Wholes) -> Outcome:
    """Read one file."""
    own = Path(tempfile.mkdtemp(dir=folder))
    start = time.process_time()
    found, failure = judge(
        reader(case, own, given), CPU_SECONDS if case.kind in ("study", "journal") else LONG_CPU_SECONDS
    )
    milliseconds = 1e3 * (time.process_time() - start)
    shutil.rmtree(own)
    return Outcome(
        number=number,
        kind=case.kind,
        mutation=case.mutation,
        found=found,
        failure=failure,
        cpu_milliseconds=milliseconds,
        peak_bytes=peak_bytes(),
    )


def _read_all(numbers: range, seed: int, folder: Path, given: Wholes, to: Connection) -> None:
    """Run the child: send a number before each file and its outcome after it."""
    held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, held + MEMORY_BYTES))
    for number in numbers:
        to.send(number)
        to.send(outcome(number, given.case(seed, number), folder, given))


def outcomes(numbers: range, seed: int, folder: Path, given: Wholes) -> Iterator[Outcome]:
    """Yield every file's outcome; if a child is lost, another continues after the file that it had started."""
    context = multiprocessing.get_context("fork")  # including all imports
    while numbers:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_read_all, args=(numbers, seed, folder, given, sender))
        child.start()
        sender.close()
        begun = numbers.start
        while numbers:
            try:
                word = receiver.recv() if receiver.poll(HANG_SECONDS) else f"hung for {HANG_SECONDS:g} s"
            except EOFError:
                child.join()
                word = f"ended its process ({child.exitcode})"
            if isinstance(word, int):
                begun = word
                continue
            numbers = range(begun + 1, numbers.stop)
            if isinstance(word, str):
                child.kill()
                yield _lost(begun, given.case(seed, begun), word)
                break
            yield word
        child.join()


def _lost(number: int, case: Case, failure: str) -> Outcome:
    return Outcome(
        number=number,
        kind=case.kind,
        mutation=case.mutation,
        found="failure",
        failure=failure,
        cpu_milliseconds=0.0,
        peak_bytes=0,
    )


def print_outcomes(found: list[Outcome], seed: int, seconds: float, of_kind: Kind) -> None:
    """Print the outcomes by kind, the slowest file, the memory, and every failure once."""
    kinds = sorted({outcome.found for outcome in found})
    counts = Counter((outcome.kind, outcome.mutation, outcome.found) for outcome in found)
    by_hand = set(bombs())
    rows: dict[tuple[str, str], list[int]] = {}
    for (kind, mutation, what), number in counts.items():
        row = rows.setdefault((kind, "by hand" if mutation in by_hand else mutation), [0] * len(kinds))
        row[kinds.index(what)] += number
    table = [[kind, mutation, *(f"{n:,}" for n in (*row, sum(row)))] for (kind, mutation), row in sorted(rows.items())]
    totals = [sum(row[i] for row in rows.values()) for i in range(len(kinds))]
    table.append(["all", "", *(f"{n:,}" for n in (*totals, len(found)))])
    print(turns.machine())
    title = f"{len(found):,} files, seed {seed}, {seconds:.0f} s"
    turns.print_table(title, ["reader", "mutation", *kinds, "files"], table, num_names=2)
    for kind in sorted({outcome.kind for outcome in found}):
        times = sorted((o.cpu_milliseconds, o.number) for o in found if o.kind == kind)
        if times:
            middle, (slowest, number) = times[len(times) // 2][0], times[-1]
            print(f"{kind}: median {middle:.1f} ms of the processor, slowest {slowest:.0f} ms (file {number})")
    largest = max(outcome.peak_bytes for outcome in found)
    first = found[0].peak_bytes
    print(f"memory of the reading process: {first / 2**20:.0f} MiB after a file, {largest / 2**20:.0f} MiB at most")
    failures: dict[str, list[Outcome]] = {}
    for outcome in found:
        if outcome.failure:
            failures.setdefault(outcome.failure.strip().splitlines()[-1][:200], []).append(outcome)
    for reason, alike in failures.items():
        print(f"\n{len(alike)} files: {reason}\n{alike[0].failure}")
        print(f"python -m benchmarks.fuzz --kind {of_kind} --seed {seed} --only {alike[0].number}")
    print(f"failures: {sum(map(len, failures.values())):,}")


def show(seed: int, number: int, folder: Path, given: Wholes) -> None:
    """Write a file out and read it in this process, without protection."""
    case = given.case(seed, number)
    if case.kind in ("study", "journal"):
        file = Path(f"fuzz-{seed}-{number}.{'yaml' if case.kind == 'study' else 'jsonl'}")
        file.write_bytes(case.content)
        print(f"written to {file}")
    print(f"{case.kind} {case.source}, {case.mutation}")
    try:
        print(reader(case, folder, given)())
    except ZerotuneError as error:
        print(error)


def main(
    files: Annotated[int, typer.Option(help="Files to read.")] = 100_000,
    kind: Annotated[Kind, typer.Option(help="What to change.")] = "files",
    seed: Annotated[int, typer.Option(help="Of the mutations.")] = 0,
    only: Annotated[int | None, typer.Option(help="The one file to write out and read here.")] = None,
) -> None:
    """Check that mutated study files and journals each give a result or a one-sentence error."""
    torch.set_num_threads(1)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # journals are forced to disk, which is not measured
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as name:
        folder = Path(name)
        given = replace(wholes(folder), kind=kind, mutations=MUTATIONS.get(kind, ()))
        connect(default_tracking_uri(given.empty_store), create=True)
        if only is not None:
            show(seed, only, folder, given)
            return
        for study in given.studies if kind == "files" else ():
            load_study(study)  # models are imported and outlined once, which counts for no file
        start, found = time.monotonic(), []
        for outcome in outcomes(range(files), seed, folder, given):
            found.append(outcome)
            if outcome.failure:
                print(f"file {outcome.number}: {outcome.failure.strip().splitlines()[-1][:150]}", file=sys.stderr)
        print_outcomes(found, seed, time.monotonic() - start, kind)
    if any(outcome.failure for outcome in found):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
