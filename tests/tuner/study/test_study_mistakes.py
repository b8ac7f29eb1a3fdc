# ruff: noqa: E501  messages to users are compared whole, each on one line
"""Every mistake in a study definition is reported with its line, the rule, what was received and what to do."""

import pytest

from tests.tuner.study.example_study import SQRT, mistakes
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.optimizers import OPTIMIZERS

MISTAKES: list[tuple[str, str, str]] = [
    # values
    ("{low: 5e-3, high: 1, scale: log}", "{low: 1.6, high: 0.1}", "x.yaml:20: arms[0].space.lr: low must be below high, got low=1.6, high=0.1."),
    ("low: 5e-3, high: 1,", "low: 5e-3, hihg: 1,", "x.yaml:20: arms[0].space.lr: unknown key 'hihg': did you mean 'high'? Known: high, low, num, scale, type."),
    ("{low: 5e-3, high: 1, scale: log}", "0.1", "x.yaml:20: arms[0].space.lr: must be a range such as {low: 0.1, high: 1.0} or {choices: [1, 2]}, got 0.1."),
    ("low: 5e-3", "low: true", "x.yaml:20: arms[0].space.lr: low must be a number, got True."),
    ("scale: log}\n      mom", "scale: ln}\n      mom", "x.yaml:20: arms[0].space.lr: unknown scale 'ln': Known: linear, log."),
    ("low: 5e-3", "low: 0", "x.yaml:20: arms[0].space.lr: a log scale needs low above 0, got low=0."),
    ("[0.8, 0.9]", "[0.8, poly]", "x.yaml:21: arms[0].space.momentum: choices must be all numbers, all words or all true and false, got [0.8, 'poly']."),
    ("trials: 12", "trials: 0", "x.yaml:18: arms[0].trials: must be at least 1, got 0."),
    ("trials: 12", "trials: 12.5", "x.yaml:18: arms[0].trials: must be a whole number, got 12.5."),
    ("trials: 12", "trials: '12'", "x.yaml:18: arms[0].trials: must be a whole number, got '12'."),
    ("epochs: 12", "epochs: 0", "x.yaml:4: epochs: must be at least 1, got 0."),
    ("epochs: 12", "epochs: true", "x.yaml:4: epochs: must be a whole number, got True."),
    ("[1, 2]", "[1, 1]", "x.yaml:6: seeds: holds 1 twice."),
    ("[1, 2]", "[]", "x.yaml:6: seeds: must not be empty."),
    ("[1, 2]", "[1, -2]", "x.yaml:6: seeds[1]: must be at least 0, got -2."),
    ("[1, 2]", "1", "x.yaml:6: seeds: must be a list, got 1."),
    ("[512, 128]", "[512, 128.0]", "x.yaml:5: batch_sizes[1]: must be a whole number, got 128.0."),
    ("name: example", "name: ../up", "x.yaml:1: name: may hold a to z, 0 to 9, - and _ only, and starts with a letter or digit, got '../up'."),
    ("name: example", "name: example\nmargin: 1.5", "x.yaml:2: margin: must be at most 1, got 1.5."),
    ("name: example", "name: 7", "x.yaml:1: name: must be text, got 7."),
    ("name: example", "name: example\nprices: {device_hour: 2}", "x.yaml:2: prices: states device_hour 2 of no currency: add one, such as currency: EUR."),
    ("name: example", "name: example\nprices: {watts: 0}", "x.yaml:2: prices.watts: must be above 0, got 0."),
    # keys
    ("epochs: 12", "epoch: 12", "x.yaml:4: epoch: unknown key 'epoch': did you mean 'epochs'? Known: application, arms, baseline, batch_sizes, budget, data, epochs, margin, model, name, prices, question, recipe, reference, resources, search_seed, seeds, tracking_uri."),
    ("    trials: 12\n", "    trails: 12\n", "x.yaml:18: arms[0].trails: unknown key 'trails': did you mean 'trials'? Known: baseline, epochs, exponent, fixed, guard, method, name, noise_batch_size, objectives, on_long_warmup, optimizer, parallel, pruner, repeats, sampler, solvers, space, start_from, stop, terminator, trials."),
    ("{lr: 0.003,", "{batch_size: 64, lr: 0.003,", "x.yaml:28: arms[2].baseline.batch_size: unknown key 'batch_size': Known: decay, lr, tune, warmup, warmup_epochs, warmup_start."),
    ("    method: sqrt\n", "", "x.yaml:24: arms[1].method: is missing, and it has no default."),
    ("trials: 12", "trials: 12\n    objectives: [score, trials]", "x.yaml:19: arms[0].objectives: must be [score, COST], with a COST of flops, device_seconds, modelled_joules; got [score, trials]."),
    ("trials: 12", "trials: 12\n    objectives: [flops, score]", "x.yaml:19: arms[0].objectives: must be [score, COST], with a COST of flops, device_seconds, modelled_joules; got [flops, score]."),
    ("method: sqrt", "method: sqrt\n    objectives: [score, flops]", "x.yaml:26: arms[1].objectives: has no effect with method sqrt: leave it out (for optuna, gp)."),
    ("method: sqrt", "method: sqrt\n    exponent: 0.2", "x.yaml:26: arms[1].exponent: has no effect with method sqrt: leave it out (for power, saturating)."),
    ("method: sqrt", "method: surge\n    noise_batch_size: 0", "x.yaml:26: arms[1].noise_batch_size: must be above 0, got 0."),
    # the recipe
    ("epochs: 12", "epochs: 12\nrecipe: {clip_norms: 1}", "x.yaml:5: recipe.clip_norms: unknown key 'clip_norms': did you mean 'clip_norm'? Known: clip_norm, ghost_batch_size, label_smoothing, micro_batch_size, precision."),
    ("epochs: 12", "epochs: 12\nrecipe: {clip_norm: 0}", "x.yaml:5: recipe.clip_norm: must be above 0 and finite, got 0."),
    ("epochs: 12", "epochs: 12\nrecipe: {clip_norm: true}", "x.yaml:5: recipe.clip_norm: must be a number, got True."),
    ("epochs: 12", "epochs: 12\nrecipe: {label_smoothing: 1}", "x.yaml:5: recipe.label_smoothing: must be at least 0 and below 1, got 1."),
    ("epochs: 12", "epochs: 12\nrecipe: {label_smoothing: -0.5}", "x.yaml:5: recipe.label_smoothing: must be at least 0 and below 1, got -0.5."),
    ("epochs: 12", "epochs: 12\nrecipe: {micro_batch_size: 0}", "x.yaml:5: recipe.micro_batch_size: must be at least 1, got 0."),
    ("epochs: 12", "epochs: 12\nrecipe: {micro_batch_size: 64.0}", "x.yaml:5: recipe.micro_batch_size: must be a whole number or 'auto', got 64.0."),
    ("epochs: 12", "epochs: 12\nrecipe: {ghost_batch_size: 64, micro_batch_size: largest}", "x.yaml:5: recipe.micro_batch_size: must be a whole number or 'auto', got 'largest'."),
    ("epochs: 12", "epochs: 12\nrecipe: {micro_batch_size: 512}", "x.yaml:5: recipe.micro_batch_size: has no effect: 512 splits no batch size of the study (at most 512)."),
    ("epochs: 12", "epochs: 12\nrecipe: {ghost_batch_size: 1}", "x.yaml:5: recipe.ghost_batch_size: must be at least 2, since one sample has no variance, got 1."),
    ("epochs: 12", "epochs: 12\nrecipe: {precision: float16}", "x.yaml:5: recipe.precision: must be 'float32', 'bfloat16' or 'float64', got 'float16'."),
    ("epochs: 12", "epochs: 12\nrecipe: bfloat16", "x.yaml:5: recipe: must be keys and values, got 'bfloat16'."),
    # names
    ("lenet_mnist", "lenet_minst", f"x.yaml:2: application: unknown application 'lenet_minst': did you mean 'lenet_mnist'? Known: {', '.join(sorted(APPLICATIONS))}. Your own comes in with --app FILE.py:lenet_minst."),
    ("source: mnist5k", "source: mnist5", "x.yaml:3: data.source: unknown data source 'mnist5': did you mean 'mnist5k'? Known: mnist, mnist5k, mnist60k."),
    ("method: sqrt", "method: sqr", "x.yaml:25: arms[1].method: unknown method 'sqr': did you mean 'sqrt'? Known: adam-sde, comprehensive, constant, date, defaults, gp, grid, legw, linear, linear-warmup, optuna, power, random, saturating, sobol, sqrt, surge."),
    ("name: momentum, mom", "name: momentun, mom", f"x.yaml:10: baseline.optimizer: unknown optimizer 'momentun': did you mean 'momentum'? Known: {', '.join(sorted(OPTIMIZERS))}."),
    ("momentum: 0.8}", "momentum: 1.8}", "x.yaml:10: baseline.optimizer: optimizer 'momentum': option 'momentum' must be from 0 to 0.999999, got 1.8."),
    ("  batch_size: 32\n", "  batch_size: 32\n  warmup: lineer\n", "x.yaml:10: baseline.warmup: unknown warm-up 'lineer': did you mean 'linear'? Known: constant, cosine, linear, none, quadratic."),
    ("  batch_size: 32\n", "  batch_size: 32\n  decay: multistep\n", "x.yaml:10: baseline.decay: decay 'multistep': option 'milestones' is missing and has no default; give a sequence of numbers."),
    ("  batch_size: 32\n", "  batch_size: 32\n  warmup_start: 1.5\n", "x.yaml:10: baseline.warmup_start: must be at most 1, got 1.5."),
    ("{weight_decay: 0}", "{warmup: constant, warmup_epochs: 2}", "x.yaml:20: arms[0].space.lr: warm-up 'constant' needs warmup_start, its fraction of the peak learning rate: in a baseline, 1 keeps the baseline's learning rate during the warm-up of a larger batch."),
    ("lr: 0.003, warmup_epochs: 0.25", "lr: 0.003, decay: {name: date, as_printed: true}", "x.yaml:28: arms[2].baseline.decay: decay 'date': options 'as_printed: true' and 'baseline_warmup_epochs' (w0) have an effect only together; set both or neither."),
    ("{source: mnist5k}", "{source: mnist5k, size: {}}", "x.yaml:3: data.size: must be a number, a word, true, false or a list of numbers, got {}."),
    ("reference: tuned", "reference: tund", "x.yaml:7: reference: unknown arm 'tund': did you mean 'tuned'? Known: date, sqrt, tuned."),
    ("reference: tuned", "reference: sqrt", "x.yaml:7: reference: must be an arm that searches, but 'sqrt' is the rule sqrt."),
    ("name: sqrt", "name: tuned", "x.yaml:24: arms[1].name: 'tuned' is the name of two arms."),
    ("name: sqrt", "name: baseline", "x.yaml:24: arms[1].name: 'baseline' is the study's own baseline: choose another name."),
    ("      momentum: {ch", "      momentun: {ch", "x.yaml:21: arms[0].space.momentun: unknown hyperparameter of optimizer 'momentum' 'momentun': did you mean 'momentum'? Known: clip_norm, decay, ghost_batch_size, label_smoothing, lr, momentum, nesterov, warmup, warmup_epochs, warmup_start, weight_decay."),
    # relations between parts
    ("[512, 128]", "[512, 4096]", "x.yaml:5: batch_sizes: 4096 is above the 3000 training samples of 'mnist5k'."),
    ("batch_size: 32", "batch_size: 3001", "x.yaml:9: baseline.batch_size: 3001 is above the 3000 training samples of 'mnist5k'."),
    ("[1, 2]", "[0, 1]", "x.yaml:6: seeds: holds 0, the search_seed, but a confirmation must be a fresh run."),
    (SQRT, SQRT + "    trials: 3\n", "x.yaml:26: arms[1].trials: has no effect with method sqrt: leave it out (for random, sobol, optuna, gp, comprehensive, defaults)."),
    (SQRT, SQRT + "    pruner: asha\n", "x.yaml:26: arms[1].pruner: has no effect with method sqrt: leave it out (for optuna, gp)."),
    ("    trials: 12\n", "    trials: 12\n    on_long_warmup: keep\n", "x.yaml:19: arms[0].on_long_warmup: has no effect with method optuna: leave it out (for constant, linear, linear-warmup, sqrt, legw, date, adam-sde, power, surge, saturating)."),
    ("    trials: 12\n", "", "x.yaml:16: arms[0].trials: is missing: method optuna needs a number of trials."),
    ("method: grid\n", "method: grid\n    trials: 3\n", "x.yaml:13: baseline.tune.trials: has no effect with method grid: leave it out (for random, sobol, optuna, gp, comprehensive, defaults)."),
    ("method: grid\n", "method: sqrt\n", "x.yaml:12: baseline.tune.method: 'sqrt' is a rule, which tunes nothing: choose one of grid, random, sobol, optuna, gp."),
    ("scale: log, num: 3}", "scale: log}", "x.yaml:14: baseline.tune.space.lr: a grid over a real range needs num, its number of points."),
    ("scale: log}\n      mom", "scale: log, num: 3}\n      mom", "x.yaml:20: arms[0].space.lr: num has no effect with method optuna: leave it out (for grid)."),
    ("      lr: {low: 5e-3, high: 1, scale: log}\n", "", "x.yaml:19: arms[0].space: lr is neither searched nor fixed: put it in space, or in fixed."),
    ("{weight_decay: 0}", "{momentum: 0.9}", "x.yaml:23: arms[0].fixed.momentum: is also in space: a value is either fixed or searched."),
    ("    trials: 12\n", "    trials: 12\n    optimizer: {name: momentum, momentum: 0.5}\n", "x.yaml:19: arms[0].optimizer: option 'momentum' is also in space or fixed: state it once."),
    ("[0.8, 0.9]", "[0.8, 1.5]", "x.yaml:21: arms[0].space.momentum: optimizer 'momentum': option 'momentum' must be from 0 to 0.999999, got 1.5."),
    ("[constant, poly]", "[constant, pol]", "x.yaml:22: arms[0].space.decay: unknown decay 'pol': did you mean 'poly'? Known: constant, cosine, cosine-coarse, cosine-fine, cyclical, date, exponential, multistep, poly."),
    ("[constant, poly]", "[0.1, 0.2]", "x.yaml:22: arms[0].space.decay: decay must be a name, got 0.1."),
    ("  batch_size: 32\n", "  batch_size: 32\n  lr: 0.1\n", "x.yaml:10: baseline.lr: is also searched in tune.space: state it or search it."),
    ("lr: 0.003, ", "", "x.yaml:26: arms[2]: optimizer 'date' is not the baseline's, 'momentum', whose learning rate says nothing about it: give this arm baseline.lr or baseline.tune."),
    ("lr: 0.003, ", "lr: 0.003, decay: poly, ", "x.yaml:28: arms[2].baseline.decay: has no effect: rule 'date' brings its own decay, 'date'; only its options can be chosen here."),
    ("warmup_epochs: 0.25}", "warmup_epochs: 0.75}", "x.yaml:26: arms[2]: arm 'date': rule 'date' at batch size 512: its warm-up of 12 epochs would outlast the run of 12 epochs; train longer, choose a smaller batch size, or set on_long_warmup to 'clamp' (6 epochs) or 'keep'."),
    ("      momentum: {choices: [0.8, 0.9]}", "      warmup_epochs: {low: 0, high: 12}", "x.yaml:21: arms[0].space.warmup_epochs: a warm-up of 12 epochs would outlast the run of 12 epochs."),
    ("name: example", "name: example\nresources: {packing: 200}", "x.yaml:2: resources.packing: must be 'auto', 'off', or how many trials to train at once, 1 to 128."),
    ("name: example", "name: example\nresources: {workers_per_trial: 2, gpus_per_trial: 0.5}", "x.yaml:2: resources.gpus_per_trial: must be whole where a trial has several workers, got 0.5."),
    ("name: example", "name: example\nresources: {workers_per_trial: 2, packing: 4}", "x.yaml:2: resources.packing: must be off where a trial has several workers, got 4."),
    ("name: example", "name: example\nresources: {gpus_per_trial: 1.5}", "x.yaml:2: resources.gpus_per_trial: must be whole above 1, got 1.5."),
    # the file
    ("epochs: 12", "epochs: 12\nepochs: 13", "x.yaml:5: epochs: given twice, first on line 4: keep one."),
    ("epochs: 12", "epochs: off", "x.yaml:4: off is true or false to some readers, text to others: write true, false or 'off'."),
    ("epochs: 12", "epochs: &e 12", "x.yaml:4: anchors such as &e are not supported: write the value out."),
    ("epochs: 12", "epochs: *e", "x.yaml:4: aliases such as *e are not supported: write the value out."),
    ("epochs: 12", "epochs: !!python/name:os.system 1", "x.yaml:4: tags such as !!python/name:os.system are not supported: write the plain value."),
    ("epochs: 12", "epochs: 012", "x.yaml:4: 012 is not one number to all readers: write a plain decimal number, or '012'."),
    ("epochs: 12", "epochs: .inf", "x.yaml:4: numbers must be finite, got .inf."),
    ("epochs: 12", "1: 12", "x.yaml:4: a key must be a word, got '1'."),
    ("epochs: 12", "epochs: [12", "x.yaml:5: not valid YAML: expected ',' or ']', but got ':'."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[message for _, _, message in MISTAKES])
def test_a_mistake_is_reported_with_its_line_and_what_to_do(old: str, new: str, message: str) -> None:
    assert mistakes((old, new)) == [message]


def test_nothing_is_searched_where_validation_is_trained_on() -> None:
    assert mistakes(("source: mnist5k", "source: mnist60k")) == [
        f"x.yaml:{place}: searches, but data source 'mnist60k' trains on its validation samples too, so nothing may be chosen by them: use arms that are rules, with values found on a source that holds samples out."
        for place in ("11: baseline.tune", "16: arms[0]")
    ]


def test_several_mistakes_are_reported_at_once() -> None:
    assert [line.split(": ")[1] for line in mistakes(("trials: 12", "trials: 0"), ("[1, 2]", "[1, 1]"))] == [
        "seeds",
        "arms[0].trials",
    ]


def test_ends_of_ranges_that_contradict_each_other_are_reported() -> None:
    edits = (
        ("{choices: [0.8, 0.9]}", "{choices: [0.0, 0.9]}"),
        ("{choices: [constant, poly]}", "{choices: [constant, poly]}\n      nesterov: {choices: [true, false]}"),
    )
    found = mistakes(*edits)
    assert len(found) == 1
    assert found[0].startswith("x.yaml:19: arms[0].space: optimizer 'momentum': Nesterov momentum requires a momentum")
    assert found[0].endswith("with lr=0.005, momentum=0.0, decay=constant, nesterov=True.")


def test_a_rule_without_the_number_that_it_needs_is_refused() -> None:
    found = mistakes(("[512, 128]", "[128]"), (SQRT, SQRT.replace("sqrt", "power")))
    assert found == ["x.yaml:24: arms[1]: arm 'power': rule 'power' needs exponent: state it beside the rule."]


def test_adam_sde_is_refused_where_the_baselines_optimizer_is_not_one_it_can_scale() -> None:
    found = mistakes(("[512, 128]", "[128]"), (SQRT, SQRT.replace("sqrt", "adam-sde")))
    assert found == [
        "x.yaml:24: arms[1]: arm 'adam-sde': rule 'adam-sde' at batch size 128: it changes beta1, beta2 and eps, but "
        "optimizer 'momentum' states no beta1: take an optimizer that has all three, such as adam, and state them in "
        "the baseline."
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "https://user:secret@host",
        "https://token@host",
        "postgresql://user:secret@host/db",
        "postgresql://host/db?user=a&password=secret",
        "postgresql://host/db?sslpassword=secret",
        "postgresql://user:1/secret@host/db",
        "mssql+pyodbc:///?odbc_connect=UID%3Duser%3BPWD%3Dsecret",
    ],
)
def test_a_tracking_uri_with_credentials_is_refused_without_repeating_them(uri: str) -> None:
    (message,) = mistakes(("name: example\n", f"name: example\ntracking_uri: {uri}\n"))
    assert message.startswith("x.yaml:2: tracking_uri: holds credentials, which would be stored with the study")
    assert "secret" not in message


def test_sizes_that_the_model_itself_refuses_are_reported_with_their_line() -> None:
    model = "application: resnet50_cifar10\nmodel: {num_blocks: [1, 2.5]}\ndata: {source: cifar10-part}\n"
    assert mistakes(("application: lenet_mnist\ndata: {source: mnist5k}\n", model)) == [
        "x.yaml:3: model: num_blocks must be one to six whole numbers above 0, one per stage, got [1.0, 2.5]."
    ]


def test_a_recipe_is_checked_beside_a_model_that_cannot_be() -> None:
    """Found by fuzzing."""
    model = "application: lenet_mnist\nmodel: {width: 2}\nrecipe: {ghost_batch_size: 0}\n"
    told = mistakes(("application: lenet_mnist\n", model))
    assert "x.yaml:4: recipe.ghost_batch_size: must be at least 2, since one sample has no variance, got 0." in told
    assert any(line.startswith("x.yaml:3: model.width: ") for line in told)
