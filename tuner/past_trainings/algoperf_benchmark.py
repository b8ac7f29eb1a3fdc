"""What AlgoPerf states of its benchmark: workloads, validation targets and published scores.

Sources: scoring/workload_targets_v05.json of mlcommons/submissions_algorithms (Apache-2.0);
previous_leaderboards/algoperf_v05/README.md (last updated 2023-12-18) and README.md (2025-03-24). That a zero-tuned
training had three times the time budget of a tuned one: submission_runner.py of mlcommons/algorithmic-efficiency.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What a benchmark fixed beforehand.

    Attributes:
        targets: the validation score to reach, by workload.
        variants: held-out variants of a workload, by variant: the workload that they vary.
        published: the score of each submission by the benchmark's own authors, by ruleset ("tuned" or "zero-tuned").
        budget_factor: how many times the time budget of one tuned trial a zero-tuned training had.
        machine: what the seconds are of.
    """

    targets: Mapping[str, float]
    variants: Mapping[str, str]
    published: Mapping[str, Mapping[str, float]]
    budget_factor: float
    machine: str

    def family(self, workload: str) -> str:
        """Return the workload that this one varies, or itself."""
        return self.variants.get(workload, workload)


_BASE = {
    "criteo1tb": 0.123735,
    "fastmri": 0.723653,
    "imagenet_resnet": 0.77431,
    "imagenet_vit": 0.77309,
    "librispeech_conformer": 0.085884,
    "librispeech_deepspeech": 0.119936,
    "ogbg": 0.28098,
    "wmt": 30.8491,
}
_HELD_OUT = {
    "criteo1tb_embed_init": 0.129657,
    "fastmri_tanh": 0.71784,
    "imagenet_resnet_large_bn_init": 0.76526,
    "librispeech_conformer_layernorm": 0.09731,
    "ogbg_model_size": 0.269446,
    "wmt_glu_tanh": 29.5779,
}
_VARIANTS = {name: max((base for base in _BASE if name.startswith(base)), key=len) for name in _HELD_OUT}

BENCHMARKS: Mapping[str, Benchmark] = {
    "algoperf_v05": Benchmark(
        targets={**_BASE, **_HELD_OUT},
        variants=_VARIANTS,
        published={
            "tuned": {
                "shampoo_submission": 0.7784,
                "schedule_free_adamw": 0.7077,
                "generalized_adam": 0.6383,
                "cyclic_lr": 0.6301,
                "nadamp": 0.5909,
                "baseline": 0.5707,
                "amos": 0.4918,
                "caspr_adaptive": 0.4722,
                "lawa_queue": 0.3699,
                "lawa_ema": 0.3384,
                "schedule_free_prodigy": 0.0,
            },
            "zero-tuned": {
                "schedule_free_adamw": 0.8542,
                "baseline": 0.8194,
                "nadamw_sequential": 0.3308,
                "sinv6_75": 0.1420,
                "sinv6": 0.0903,
                "adamg": 0.0,
            },
        },
        budget_factor=3.0,
        machine="a machine with 8 V100",
    ),
    "algoperf_v06": Benchmark(
        targets=_BASE,
        variants={},
        published={"tuned": {"shampoo": 0.6244, "baseline": 0.4590}, "zero-tuned": {}},
        budget_factor=3.0,
        machine="a machine with 8 V100",
    ),
}
"""The benchmarks by the collection that holds their trainings."""
