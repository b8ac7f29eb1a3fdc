"""What a study file says of searched solvers and models: ranges, records and mistakes."""

import pytest

from tests.campaigns import completed
from tests.tuner.study.example_study import edited
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study
from zerotune.tuner.study.comprehensive import solver_spaces
from zerotune.tuner.study.search_space import Choice, Float, Int

TEXT = """\
name: example
application: lstm_mnist
data: {source: mnist5k}
model: {num_hidden: 16}
epochs: 8
batch_sizes: [128, 512]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, lr: 0.05}
arms:
  - name: tuned
    method: sobol
    trials: 8
    solvers:
      adam: {lr: anchored, beta1: {low: 0.8, high: 0.98}}
      lars: {lr: {low: 1, high: 20, scale: log}}
      momentum:
    space:
      decay: {choices: [cosine, poly]}
      model.num_hidden: {low: 8, high: 32, type: int}
  - {name: legw, method: legw}
"""
SOLVERS = TEXT[TEXT.index("    solvers:") : TEXT.index("    space:")]


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


def mistake(*edits: tuple[str, str]) -> str:
    with pytest.raises(BadInput) as refused:
        study(*edits)
    return str(refused.value)


# -- ranges ------------------------------------------------------------------------------------------------------------


def test_every_solver_has_its_own_ranges_an_anchored_learning_rate_and_what_all_share() -> None:
    example = study()
    shared = {"decay": Choice(choices=("cosine", "poly")), "model.num_hidden": Int(low=8, high=32)}
    assert solver_spaces(example, example.arm("tuned"), 512) == {
        "adam": {
            "lr": Float(low=1e-3 * 2 / 4, high=1e-3 * 2 * 8, scale="log"),
            "beta1": Float(low=0.8, high=0.98),
            **shared,
        },
        "lars": {"lr": Float(low=1.0, high=20.0, scale="log"), **shared},
        "momentum": {"lr": Float(low=0.05 * 4 / 4, high=0.05 * 4 * 4, scale="log"), **shared},
    }


def test_a_list_of_solvers_has_anchored_learning_rates() -> None:
    example = study((SOLVERS, "    solvers: [momentum, adam]\n"))
    spaces = solver_spaces(example, example.arm("tuned"), 128)
    assert {name: list(space) for name, space in spaces.items()} == {
        name: ["lr", "decay", "model.num_hidden"] for name in ("momentum", "adam")
    }
    assert spaces["adam"]["lr"] == Float(low=1e-3 / 4, high=1e-3 * 8, scale="log")


def test_comprehensive_searches_the_space_with_every_solver() -> None:
    example = study(("method: sobol", "method: comprehensive"), (SOLVERS, ""))
    spaces = solver_spaces(example, example.arm("tuned"), 512)
    assert {name: list(space) for name, space in spaces.items()} == {
        "momentum": ["lr", "warmup_epochs", "decay", "momentum", "model.num_hidden"],
        "adam": ["lr", "warmup_epochs", "decay", "beta1", "model.num_hidden"],
        "lamb": ["lr", "warmup_epochs", "decay", "beta1", "model.num_hidden"],
    }


# -- records -----------------------------------------------------------------------------------------------------------


def test_the_record_of_a_search_over_solvers_is_read_back_to_the_same_study() -> None:
    plain = study().resolved()
    assert list(plain["arms"][0]["solvers"]) == ["adam", "lars", "momentum"]
    assert plain["arms"][0]["optimizer"] is None
    again = Study.model_validate(plain)
    assert again.arm("tuned").solvers == study().arm("tuned").solvers
    assert again.fingerprint == study().fingerprint


@pytest.mark.parametrize("method", ["grid", "random", "sobol", "optuna", "gp", "comprehensive"])
def test_a_search_that_uses_no_new_key_has_none_in_its_record_so_that_old_studies_keep_their_fingerprint(
    method: str,
) -> None:
    trials = "" if method == "grid" else "    trials: 8\n"
    space = "" if method == "comprehensive" else "    space: {lr: {low: 0.1, high: 1, num: 2}}\n"
    space = space if method == "grid" else space.replace(", num: 2", "")
    start = TEXT.index("    method: sobol")
    end = TEXT.index("  - {name: legw")
    (arm, _) = study((TEXT[start:end], f"    method: {method}\n{trials}{space}")).resolved()["arms"]
    new = {"sampler", "solvers", "space"} - ({"solvers"} if method == "comprehensive" else {"space"})
    assert new & arm.keys() == set()


@pytest.mark.parametrize(
    "edit",
    [
        ("method: sobol", "method: optuna\n    sampler: gp"),
        ("beta1: {low: 0.8,", "beta1: {low: 0.7,"),
        ("      momentum:\n", ""),
        ("high: 32, type", "high: 64, type"),
    ],
)
def test_what_a_search_tries_is_part_of_the_fingerprint(edit: tuple[str, str]) -> None:
    assert study(edit).fingerprint != study().fingerprint


# -- mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES = [
    ("adam: {lr: anchored, ", "adm: {lr: anchored, ", "solvers.adm: unknown optimizer 'adm': did you mean 'adam'?"),
    ("beta1: {", "betas1: {", "15: arms[0].solvers.adam.betas1: unknown hyperparameter of optimizer 'adam' 'betas1'"),
    ("beta1: {low: 0.8", "beta1: {low: 1.8", "15: arms[0].solvers.adam.beta1: low must be below high, got low=1.8"),
    ("high: 0.98}", "high: 1.5}", "15: arms[0].solvers.adam.beta1: optimizer 'adam': option 'beta1' must be from 0 to"),
    ("lr: anchored", "lr: anchor", "15: arms[0].solvers.adam.lr: must be a range such as {low: 0.1, high: 1.0}"),
    ("trials: 8", "trials: 8\n    optimizer: adam", "optimizer: has no effect beside solvers: state the one or the"),
    ("      momentum:\n", "      adadelta:\n", "solvers.adadelta: zerotune knows no learning rate of it to anchor the"),
    ("method: sobol\n    trials: 8", "method: grid", "solvers.adam: lr is anchored, which is a range without grid poi"),
    ("low: 1, high: 20", "num: 3, low: 1, high: 20", "solvers.lars.lr: num has no effect with method sobol: leave it"),
    ("decay: {", "momentum: {", "arms[0].space.momentum: unknown hyperparameter of optimizer 'adam' 'momentum'"),
    ("{choices: [cosine, poly]}", "{choices: [cosine, pol]}", "19: arms[0].space.decay: unknown decay 'pol': did you"),
    ("      decay:", "      beta1: {low: 0.9, high: 0.95}\n      decay:", "adam.beta1: is also in space or fixed, wh"),
    ("    space:", "    fixed: {decay: cosine}\n    space:", "fixed.decay: is also in space: a value is either"),
    ("    trials: 8\n", "", "arms[0].trials: is missing: method sobol needs a number of trials."),
    (SOLVERS, "    solvers: adam\n", "14: arms[0].solvers: must be a list of optimizers, or a mapping of optimizers"),
    (SOLVERS, "    solvers: []\n", "14: arms[0].solvers: must not be empty."),
    (SOLVERS, "", "arms[0].space: lr is neither searched nor fixed: put it in space, or in fixed."),
    (SOLVERS, "    sampler: gp\n", "arms[0].sampler: has no effect with method sobol: leave it out (for optuna)."),
    ("method: sobol", "method: optuna\n    sampler: qmc", "sampler: must be 'tpe', 'gp', 'sobol' or 'random'"),
    ("decay: {choices: [cosine, poly]}", "lr: anchored", "arms[0].space.lr: anchored is a range of a solver's lr: "),
    # the model
    ("model.num_hidden", "model.num_hiden", "20: arms[0].space.model.num_hiden: unknown option of the model of"),
    ("model.num_hidden", "num_hidden", "'num_hidden': did you mean 'model.num_hidden'?"),
    (", type: int}", "}", "20: arms[0].space.model.num_hidden: takes whole numbers: add type: int to the range."),
    ("{low: 8,", "{low: 0,", "20: arms[0].space.model.num_hidden: model: option 'num_hidden' must be from 1 to 8192"),
    ("decay: {choices: [cosine, poly]}", "ghost_batch_size: {low: 8, high: 16, type: int}", "19: arms[0].space.ghost"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), MISTAKES, ids=[sentence for _, _, sentence in MISTAKES])
def test_a_mistake_is_reported_where_it_stands(old: str, new: str, sentence: str) -> None:
    assert sentence in mistake((old, new))


def test_an_optimizer_in_the_space_is_told_where_it_belongs() -> None:
    place = ("decay: {choices: [cosine, poly]}", "optimizer: {choices: [adam, lars]}")
    assert (
        "space.optimizer: is searched by solvers, beside space: solvers: [adam, momentum], or with ranges"
        in mistake((SOLVERS, ""), place)
    )
    assert "space.optimizer: has no effect beside solvers, which says what optimizers are tried" in mistake(place)


def test_an_application_without_options_has_no_model_to_search() -> None:
    lenet = ("application: lstm_mnist", "application: lenet_mnist"), ("model: {num_hidden: 16}\n", "")
    sentence = "space.model.num_hidden: application 'lenet_mnist' has no options of its model to choose."
    assert sentence in mistake(*lenet)


def test_a_model_that_cannot_be_built_at_an_end_of_its_range_is_refused_before_any_trial() -> None:
    text = ("application: lstm_mnist", "application: resnet50_cifar10"), ("{source: mnist5k}", "{source: cifar10-part}")
    searched = "model.num_blocks: {choices: [[1, 1], [1, 1.5]]}"
    said = mistake(
        *text,
        ("model: {num_hidden: 16}\n", ""),
        (SOLVERS, "    solvers: [adam]\n"),
        ("model.num_hidden: {low: 8, high: 32, type: int}", searched),
    )
    assert "arms[0].space.model.num_blocks: num_blocks must be one to six whole numbers above 0" in said


def test_ghost_batches_are_searched_in_whole_numbers_where_the_model_has_batch_normalisation() -> None:
    example = study(
        ("application: lstm_mnist", "application: resnet50_cifar10"),
        ("{source: mnist5k}", "{source: cifar10-part}"),
        ("model: {num_hidden: 16}\n", "model: {num_blocks: [1], num_filters: 4}\n"),
        (SOLVERS, "    solvers: [adam]\n"),
        ("model.num_hidden: {low: 8, high: 32, type: int}", "ghost_batch_size: {choices: [16, 32]}"),
    )
    searched = [
        one.trial for one in completed(example).values() if (one.trial.arm, one.trial.role) == ("tuned", "search")
    ]
    assert {trial.config.recipe.ghost_batch_size for trial in searched} == {16, 32}
    assert all(trial.params["ghost_batch_size"] == trial.config.recipe.ghost_batch_size for trial in searched)


def test_the_default_space_is_not_for_several_solvers() -> None:
    start, end = TEXT.index("    space:"), TEXT.index("  - {name: legw")
    default = (TEXT[start:end], "    space: default\n")
    for edits in ((default,), (default, (SOLVERS, ""), ("method: sobol", "method: comprehensive"))):
        assert "the default space rests on the learning rate" in mistake(*edits)
