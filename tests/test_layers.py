"""The import direction of DESIGN: left never imports right, and each third-party package has one home."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS: list[set[str]] = [
    {"zerotune.trainers.spec", "zerotune.trainers.tables", "zerotune.trainers.options", "zerotune.trainers.cores"},
    {
        "zerotune.trainers.compiler",
        "zerotune.trainers.memory",
        "zerotune.trainers.checkpoint",
        "zerotune.trainers.sampling",
    },
    {"zerotune.trainers.scaling", "zerotune.trainers.schedules"},
    {"zerotune.trainers.optimizers", "zerotune.trainers.models", "zerotune.trainers.data"},
    {"zerotune.trainers.applications", "zerotune.trainers.scale_up"},
    {"zerotune.trainers.recipe", "zerotune.trainers.evaluation"},
    {
        "zerotune.trainers.flops_and_memory",
        "zerotune.trainers.micro_batch",
        "zerotune.trainers.energy_meter",
        "zerotune.trainers.distributed.data_parallel",
    },
    {"zerotune.trainers.distributed.rendezvous"},
    {"zerotune.trainers.distributed.local_workers"},
    {"zerotune.trainers.outcome", "zerotune.trainers.updates"},
    {"zerotune.trainers.loop", "zerotune.trainers.packing.packed_training", "zerotune.trainers.sanity_check"},
    {"zerotune.trainers.distributed.worker_process", "zerotune.trainers.weak_scaling"},
    {"zerotune.trainers.packing.benchmark"},
    {"zerotune.trainers.diagnostics"},
    {
        "zerotune.tuner.addresses",
        "zerotune.tuner.errors",
        "zerotune.tuner.sanitize",
        "zerotune.tuner.study.search_space",
        "zerotune.tuner.cost",
        "zerotune.tuner.energy",
        "zerotune.tuner.trial",
    },
    {"zerotune.tuner.study.yaml_file", "zerotune.tuner.commands.user_application"},
    {"zerotune.tuner.study"},
    {"zerotune.tuner.analysis.selection"},
    {
        "zerotune.tuner.search",
        "zerotune.tuner.analysis.evidence",
        "zerotune.tuner.analysis.ledger",
        "zerotune.tuner.analysis.pareto",
        "zerotune.tuner.analysis.provenance",
    },
    {"zerotune.tuner.analysis.tuning_effort", "zerotune.tuner.commands.weak_scaling.forecast"},
    {"zerotune.tuner.analysis.matching"},
    {"zerotune.tuner.analysis.comparison"},
    {
        "zerotune.tuner.study.application_check",
        "zerotune.tuner.campaign.cell",
        "zerotune.tuner.commands.profile.profiles",
        "zerotune.tuner.commands.regime.bisection",
        "zerotune.tuner.commands.diagnose.diagnosis",
        "zerotune.tuner.analysis.time_to_target",
    },
    {
        "zerotune.tuner.campaign.campaign",
        "zerotune.tuner.commands.list",
        "zerotune.tuner.commands.rule.answer",
        "zerotune.tuner.commands.regime.verdict",
    },
    {
        "zerotune.tuner.campaign.plan",
        "zerotune.tuner.run.progress_display",
        "zerotune.tuner.commands.regime.scheduler",
        "zerotune.tuner.commands.diagnose.run",
    },
    {"zerotune.tuner.run.journal", "tuner.drivers", "zerotune.tuner.store", "zerotune.tuner.reports"},
    {"zerotune.tuner.run.earlier", "zerotune.tuner.run.reuse", "zerotune.tuner.run.command_text"},
    {"zerotune.tuner.run.recorder", "zerotune.tuner.run.answer", "zerotune.tuner.run.retry"},
    {"zerotune.tuner.run.tracking"},
    {"zerotune.tuner.run.run", "zerotune.tuner.commands.rule.options"},
    {
        "zerotune.tuner.commands.regime.run",
        "zerotune.tuner.commands.weak_scaling.measure",
        "zerotune.tuner.commands.options",
        "zerotune.tuner.commands.interrupt",
    },
    {"zerotune.tuner.commands.sync"},
    {
        "zerotune.tuner.commands.rule.command",
        "zerotune.tuner.commands.profile.command",
        "zerotune.tuner.commands.report",
        "zerotune.tuner.commands.regime.command",
        "zerotune.tuner.commands.weak_scaling.command",
        "zerotune.tuner.commands.diagnose.command",
        "zerotune.tuner.commands.submit",
        "zerotune.tuner.commands.sync_command",
        "zerotune.tuner.commands.retry",
    },
    {"zerotune.tuner.cli"},
]
"""Left to right. A module may import its own layer's family (its package) and anything before its layer."""

SAME_LAYER_ALLOWED = {
    ("zerotune.trainers.tables", "zerotune.trainers.spec"),
    ("zerotune.trainers.options", "zerotune.trainers.spec"),
    ("zerotune.trainers.options", "zerotune.trainers.tables"),
    ("zerotune.trainers.scaling", "zerotune.trainers.schedules"),
    ("zerotune.tuner.cost", "zerotune.tuner.energy"),
    ("zerotune.tuner.trial", "zerotune.tuner.cost"),
    ("zerotune.tuner.run.reuse", "zerotune.tuner.run.earlier"),
}

HOMES = {
    "optuna": {"tuner/search/optuna_tpe.py", "tuner/search/importance.py"},
    "ray": {"tuner/drivers"},
    "mlflow": {"tuner/store"},
    "plotly": {"tuner/reports"},
    "yaml": {"tuner/study/yaml_file.py"},
    "torch": {"trainers"},
    "sacrebleu": {"trainers/applications/gnmt.py"},
    "tokenizers": {"trainers/data/vocabulary.py"},
    "torchvision": {"trainers/data/image_folder.py", "trainers/models/imagenet.py"},
    "timm": {"trainers/models/imagenet.py"},
    "pynvml": {"trainers/energy_meter.py"},
    "PIL": {"trainers/data/image_folder.py"},
    **{key: {"trainers/optimizers/parameter_free.py"} for key in ("schedulefree", "prodigyopt", "dadaptation", "dog")},
}


def python_files() -> list[Path]:
    return sorted([*(ROOT / "trainers").rglob("*.py"), *(ROOT / "tuner").rglob("*.py")])


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def unit(module: str) -> str:
    """The layer unit of a module: its first two names."""
    return ".".join(module.split(".")[:2])


def layer(name: str) -> int | None:
    return next((i for i, names in enumerate(LAYERS) if name in names), None)


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_left_of_it(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    if "." not in module:
        return
    own = layer(unit(module))
    assert own is not None, f"{module} has no place in LAYERS"
    for imported in imports(path):
        if not imported.startswith(("trainers.", "tuner.")) or unit(imported) == unit(module):
            continue
        other = layer(unit(imported))
        assert other is not None, f"{imported} has no place in LAYERS"
        allowed = other < own or (unit(module), unit(imported)) in SAME_LAYER_ALLOWED
        assert allowed, f"{module} imports {imported}, which stands to its right or beside it"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_each_third_party_package_has_one_home(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    for imported in imports(path):
        homes = HOMES.get(imported.split(".")[0])
        if homes is not None:
            assert any(relative.startswith(home) for home in homes), (
                f"{relative} imports {imported}: its home is {homes}"
            )
