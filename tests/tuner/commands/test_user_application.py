"""`--app FILE.py:NAME` and entry points: a user application runs like a shipped one or is refused with a message."""

import json
import sys
from pathlib import Path

import pytest

from tests.user_applications import NUM_TRIALS, OWN, STUDY, Here, forgotten, write
from zerotune.tuner.run.journal import read_journal
from zerotune.tuner.study import application_check

# Running


def test_a_study_of_an_own_application_runs_and_is_read_again(here: Here) -> None:
    code, out, err = here.run()
    assert (code, err) == (0, "")
    assert "plane\n" in out
    assert "  zerotune ui plane.yaml --app plane.py:sides\n" in out
    content = read_journal(here.folder / "mlruns" / "plane" / "journal.jsonl")
    assert [result.status for result in content.results.values()] == ["finished"] * NUM_TRIALS
    scores = [result.test_score for result in content.results.values() if result.test_score is not None]
    assert min(scores) > 0.65  # 0.72 to 0.95 measured
    by_file = here.done("compare", "plane.yaml", "--app", "plane.py:sides")
    assert by_file.split("\nWhat to do next:")[0] in out
    assert here.compared() in by_file  # a stored study needs no code
    written = here.done("export", "plane.yaml", "--app", "plane.py:sides", "--to", "figures")
    assert "figures/comparison.csv" in written
    assert "Traceback" not in here.refused("compare", "plane.yaml")


def test_a_study_whose_scores_are_all_infinite_has_diverged_and_is_reported_by_every_command(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sanity check, which would refuse such a score before any training, is left out."""
    monkeypatch.setattr(application_check, "run_sanity_check", lambda *_, **__: ())
    write(here.folder, "score_sum=num_correct", "score_sum=num_correct, finish_score=lambda mean: float('inf')")
    code, out, err = here.run()
    assert (code, err) == (0, "")
    assert out.count("accuracy 0.5000 diverged: the validation accuracy is inf in epoch 1  ") == NUM_TRIALS
    assert f"{NUM_TRIALS} trainings ({NUM_TRIALS} diverged, 0 failed)" in out
    for command in (["compare", "plane"], ["report", "plane"], ["export", "plane", "--to", "figures"]):
        here.done(*command)
    exported = (here.folder / "figures" / "trials.csv").read_text()
    assert exported.count("the validation accuracy is inf in epoch 1") == NUM_TRIALS


def test_a_study_file_whose_application_is_unknown_says_how_to_bring_it(here: Here) -> None:
    said = here.refused("plan", "plane.yaml")
    assert "plane.yaml:3: application: unknown application 'sides'" in said
    assert "Your own comes in with --app FILE.py:sides." in said


def test_edited_code_is_not_resumed_but_comments_and_another_place_are_fine(here: Here) -> None:
    assert here.run()[0] == 0
    journal = here.folder / "mlruns" / "plane" / "journal.jsonl"
    before = journal.read_bytes()
    moved = here.folder / "elsewhere"
    moved.mkdir()
    commented = OWN.replace("super().__init__(8, 2)", "super().__init__(\n            8, 2\n        )  # two sides")
    (moved / "renamed.py").write_text(commented, encoding="utf-8")
    (here.folder / "plane.py").unlink()
    code, _, err = here.run("elsewhere/renamed.py:sides")
    assert (code, err) == (0, "")
    assert journal.read_bytes() == before
    (moved / "renamed.py").write_text(OWN.replace("randn(300", "randn(310"), encoding="utf-8")
    code, _, err = here.run("elsewhere/renamed.py:sides")
    assert code == 2
    assert "which were trained differently:\n  the application's file changed\n" in err
    assert journal.read_bytes() == before


def test_the_fingerprint_of_a_shipped_application_holds_no_code(here: Here) -> None:
    from zerotune.tuner.study import load_study

    assert "application_code" not in load_study("quickstart").content()


def test_a_plan_lists_and_rules_know_it(here: Here) -> None:
    assert "8 trials in all" in here.done("plan", "plane.yaml", "--app", "plane.py:sides")
    listed = here.done("list", "applications", "--app", "plane.py:sides")
    assert "\nsides " in listed
    assert "data: drawn" in listed
    assert "sides" not in here.done("list", "applications")
    stated = ("--baseline-batch-size", "20", "--lr", "0.1", "--epochs", "2", "--batch-size", "80")
    answer = here.done("rule", "sqrt", "--app", "plane.py:sides", *stated, "--num-samples", "180", "--json")
    assert json.loads(answer)["rows"][0]["schedule"]["peak_lr"] == pytest.approx(0.2)
    assert "say --num-samples" in here.refused("rule", "sqrt", "--app", "plane.py:sides", *stated)
    assert "--lr" in here.refused("rule", "sqrt", "--app", "plane.py:sides", "--batch-size", "80", "--num-samples", "9")


def test_an_application_that_nothing_asks_for_is_refused(here: Here) -> None:
    app = ("--app", "plane.py:sides")
    assert "has no effect: study 'quickstart' names the application 'lenet_mnist'" in here.refused(
        "plan", "quickstart", *app
    )
    assert "has no effect on a list of rules" in here.refused("list", "rules", *app)
    assert "has no effect" in here.refused("rule", "sqrt", "--application", "lenet_mnist", *app)


# Arguments and files that cannot be used


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("plane.py", "must be FILE.py:NAME"),
        ("", "must be FILE.py:NAME"),
        (":sides", "must be FILE.py:NAME"),
        ("plane.py:", "must be FILE.py:NAME"),
        ("nope.py:sides", "nope.py: no such file"),
        ("plane.yaml:sides", "plane.yaml: not a Python file"),
        ("folder.py:sides", "folder.py: cannot be read (Is a directory)"),
        ("plane.py:a.b", "'a.b' is not a valid top-level name"),
        ("plane.py:two words", "'two words' is not a valid top-level name"),
        ("plane.py:side", "plane.py: there is no 'side' at its top level: did you mean 'sides'?"),
        ("plane.py:nn", "'nn' must be a zerotune.Application, got type module"),
        ("plane.py:Sides", "'Sides' must be a zerotune.Application, got a class"),
        ("plane.py:load", "'load' must be a zerotune.Application, got type function"),
        ("plane.py:lenet_mnist", "zerotune ships an application 'lenet_mnist'"),
    ],
)
def test_words_that_name_no_application_are_refused(here: Here, words: str, sentence: str) -> None:
    (here.folder / "folder.py").mkdir()
    said = here.refused("list", "applications", "--app", words)
    assert said.startswith(f"error: --app {words}: ")
    assert sentence in said


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def (:\n", "plane.py:1: SyntaxError: invalid syntax"),
        ("x = 1\n\nsides = undefined\n", "plane.py:3: NameError: name 'undefined' is not defined"),
        ("import no_such_package\n", "plane.py:1: ModuleNotFoundError: No module named 'no_such_package': install it"),
        (
            "import sys\nsys.exit(0)\n",
            "plane.py:2: SystemExit: 0: it exits when imported: put that under if",
        ),
        ("raise KeyboardInterrupt2\n", "plane.py:1: NameError"),
        ("from . import other\n", "plane.py:1: ImportError: attempted relative import"),
        ("x = '\x00'\n", "plane.py:1: SyntaxError"),
        ("def f():\n    return f()\nf()\n", "plane.py:2: RecursionError"),
        ("class Odd(BaseException): pass\nraise Odd\n", "plane.py:2: Odd"),
        ("", "there is no 'sides' at its top level: (applications in it: none)"),
        ("sides = None\n", "'sides' must be a zerotune.Application, got type NoneType"),
        (
            "from zerotune.trainers.applications import Application\nsides = Application(metric='accuracy')\n",
            "plane.py:2: TypeError: Application.__init__() missing",
        ),
        (
            OWN.replace("chance_score=0.5", "chance_score='half'"),
            "sides: chance_score: must be a finite number",
        ),
        (OWN.replace("loss=loss", "loss=3"), "plane.py: sides: loss: must be a function"),
        (OWN.replace("score_sum=num_correct", "score_sum=None"), "score_sum: is missing, and so is measure"),
        (OWN.replace('{"drawn": DataSource(load=load)}', "load"), "data_sources: must map at least one name"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(here: Here, code: str, sentence: str) -> None:
    (here.folder / "plane.py").write_text(code, encoding="utf-8")
    assert sentence in here.refused("list", "applications", "--app", "plane.py:sides")


def test_a_file_that_is_cut_off_anywhere_is_refused_in_a_sentence(here: Here) -> None:
    from zerotune.trainers.applications.failure import ApplicationError
    from zerotune.trainers.applications.user_file import read_application_file

    sentences = []
    for length in range(0, len(OWN) - 2, 23):
        (here.folder / "plane.py").write_text(OWN[:length], encoding="utf-8")
        with forgotten(), pytest.raises(ApplicationError) as refused:
            read_application_file("plane.py:sides").load()
        sentences.append(str(refused.value))
    assert all(sentence.startswith("plane.py:") for sentence in sentences)


def test_a_file_in_another_encoding_is_read_as_it_says(here: Here) -> None:
    (here.folder / "plane.py").write_bytes(
        b"# -*- coding: latin-1 -*-\n" + OWN.replace("Which", "Qu\xe9l").encode("latin-1")
    )
    assert "sides" in here.done("list", "applications", "--app", "plane.py:sides")
    (here.folder / "plane.py").write_bytes(b"x = '\xe9'\n")
    assert "plane.py:" in here.refused("list", "applications", "--app", "plane.py:sides")


def test_a_file_named_like_an_installed_module_is_refused(here: Here) -> None:
    for name in ("json", "torch", "yaml", "zerotune"):
        write(here.folder, file=f"{name}.py")
        said = here.refused("list", "applications", "--app", f"{name}.py:sides")
        assert f"{name}.py: its name is that of the installed module {name!r}" in said


# Code with errors


def test_what_a_file_prints_does_not_mix_with_the_answer(here: Here) -> None:
    write(here.folder, "import torch\n", "import torch\nprint('hello from plane')\n")
    code, out, err = here.zerotune("list", "applications", "--app", "plane.py:sides")
    assert (code, err) == (0, "hello from plane\n")
    assert "hello" not in out


def test_a_file_that_changes_the_folder_leaves_it_as_it_was_and_its_own_comes_last_on_the_path(here: Here) -> None:
    write(here.folder, "import torch\n", "import os, sys\nos.chdir('/')\nsys.path.insert(0, '/added')\nimport torch\n")
    path = list(sys.path)
    with forgotten():
        from zerotune.trainers.applications.user_file import read_application_file

        read_application_file("plane.py:sides").load()
        assert Path.cwd() == here.folder
        assert sys.path == ["/added", *path, str(here.folder)]


def test_a_name_may_be_of_any_alphabet(here: Here) -> None:
    write(here.folder, "\nsides = ", "\ngröße = ")
    (here.folder / "plane.yaml").write_text(STUDY.replace("application: sides", "application: größe"), encoding="utf-8")
    assert "größe on drawn" in here.done("plan", "plane.yaml", "--app", "plane.py:größe")


def test_a_file_finds_the_files_beside_it(here: Here) -> None:
    folder = here.folder / "beside"
    folder.mkdir()
    (folder / "plane_sizes.py").write_text("SIDES = 2\n")
    (folder / "plane_late.py").write_text("WIDTH = 8\n")
    code = OWN.replace("import torch\n", "import torch\nfrom plane_sizes import SIDES\n", 1)
    late = "        from plane_late import WIDTH\n        super().__init__(WIDTH, SIDES)"
    (folder / "plane.py").write_text(code.replace("        super().__init__(8, 2)", late))
    try:
        assert "8 trials" in here.done("plan", "plane.yaml", "--app", "beside/plane.py:sides")
    finally:
        for name in ("plane_sizes", "plane_late"):
            sys.modules.pop(name, None)


def test_every_process_imports_the_modules_beside_the_file_as_they_were_read(here: Here) -> None:
    from zerotune.trainers.applications.registry import application_file, module_digests, register_application
    from zerotune.trainers.applications.user_file import read_application_file

    write(here.folder, "import torch\n", "import torch\nfrom parts.sizes import num_sides\n")
    (here.folder / "parts").mkdir()
    (here.folder / "parts/sizes.py").write_text("from . import base\nnum_sides = base.SIDES\n", encoding="utf-8")
    (here.folder / "parts/base.py").write_text("SIDES = 2\n", encoding="utf-8")
    with forgotten():
        register_application(read_application_file("plane.py:sides"))
        assert set(module_digests("sides")) == {"", "parts.sizes", "parts.base"}
        sent = application_file("sides")
    assert sent is not None
    for name in ("parts", "parts.base", "parts.sizes"):
        sys.modules.pop(name)
    (here.folder / "parts/base.py").unlink()
    with forgotten():
        assert register_application(sent).chance_score == 0.5  # as a worker does
        assert sys.modules["parts.base"].SIDES == 2


def test_a_worker_whose_declared_variable_has_another_value_is_refused(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zerotune.trainers.applications.failure import ApplicationError
    from zerotune.trainers.applications.registry import application_file, register_application
    from zerotune.trainers.applications.user_file import read_application_file

    write(here.folder, "    chance_score=0.5,", "    chance_score=0.5,\n    environment=('SIDES_SIZE',),")
    monkeypatch.setenv("SIDES_SIZE", "2")
    with forgotten():
        register_application(read_application_file("plane.py:sides"))
        sent = application_file("sides")
    assert sent is not None
    with forgotten():
        register_application(sent)
    monkeypatch.setenv("SIDES_SIZE", "3")
    with forgotten(), pytest.raises(ApplicationError, match="variable SIDES_SIZE has another value on this machine"):
        register_application(sent)


def test_two_applications_have_each_the_modules_beside_their_own_file(here: Here) -> None:
    from zerotune.trainers.applications.registry import register_application
    from zerotune.trainers.applications.user_file import read_application_file

    with forgotten():
        for name, chance in (("one", 0.25), ("two", 0.75)):
            (here.folder / name).mkdir()
            (here.folder / name / "helper.py").write_text(f"CHANCE = {chance}\n", encoding="utf-8")
            text = OWN.replace("chance_score=0.5", "chance_score=helper.CHANCE").replace("sides =", f"{name} =")
            (here.folder / name / f"{name}.py").write_text(f"import helper\n{text}", encoding="utf-8")
            found = register_application(read_application_file(f"{name}/{name}.py:{name}"))
            assert found.chance_score == chance
        (here.folder / "two/helper.py").write_text("CHANCE = 0.5\n", encoding="utf-8")
        assert register_application(read_application_file("two/two.py:two")).chance_score == 0.5  # edited


def test_a_broken_neighbour_is_reported_with_the_line_that_imports_it(here: Here) -> None:
    (here.folder / "plane_broken.py").write_text("1 / 0\n")
    write(here.folder, "import torch\n", "import torch\nimport plane_broken\n")
    said = here.refused("plan", "plane.yaml", "--app", "plane.py:sides")
    assert "plane.py:4: ZeroDivisionError: division by zero" in said
