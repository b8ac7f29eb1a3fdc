"""The import direction of DESIGN: left never imports right, and each third-party package has one home."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS: list[set[str]] = [
    {"trainers.spec", "trainers.tables", "trainers.options", "trainers.cores"},
    {"trainers.compiler", "trainers.memory", "trainers.checkpoint", "trainers.streams"},
    {"trainers.scaling", "trainers.schedules"},
    {"trainers.optimizers", "trainers.models", "trainers.data"},
    {"trainers.applications", "trainers.scale_up"},
    {"trainers.recipe", "trainers.evaluation"},
    {"trainers.meter", "trainers.micro_batch", "trainers.energy_meter", "trainers.gang"},
    {"trainers.meeting"},
    {"trainers.local_gang"},
    {"trainers.outcome", "trainers.updates"},
    {"trainers.loop", "trainers.pack", "trainers.rehearsal"},
    {"trainers.follower", "trainers.weak_scaling"},
    {"trainers.pack_speed"},
    {"trainers.diagnostics"},
    {
        "tuner.addresses",
        "tuner.errors",
        "tuner.visible_text",
        "tuner.space",
        "tuner.cost",
        "tuner.energy",
        "tuner.trial",
    },
    {"tuner.studyfile", "tuner.own_application"},
    {"tuner.study"},
    {"tuner.choices"},
    {"tuner.methods", "tuner.evidence", "tuner.ledger", "tuner.pareto", "tuner.provenance"},
    {"tuner.effort", "tuner.scaling_forecast"},
    {"tuner.matching"},
    {"tuner.compare"},
    {"tuner.workload", "tuner.cell", "tuner.profiles", "tuner.regime", "tuner.diagnosis", "tuner.time_to_target"},
    {"tuner.campaign", "tuner.listing", "tuner.rule", "tuner.regime_verdict"},
    {"tuner.plan", "tuner.progress", "tuner.regime_finder", "tuner.diagnose"},
    {"tuner.journal", "tuner.drivers", "tuner.store", "tuner.reports"},
    {"tuner.earlier", "tuner.sharing", "tuner.command_text"},
    {"tuner.recorder", "tuner.answer", "tuner.retry"},
    {"tuner.tracking"},
    {"tuner.run", "tuner.rule_words"},
    {"tuner.regime_run", "tuner.scale", "tuner.command_options", "tuner.interruption"},
    {"tuner.sync"},
    {
        "tuner.rule_command",
        "tuner.profile_command",
        "tuner.report_command",
        "tuner.regime_command",
        "tuner.scale_command",
        "tuner.diagnose_command",
        "tuner.submit_command",
        "tuner.sync_command",
        "tuner.retry_command",
    },
    {"tuner.cli"},
]
"""Left to right. A module may import its own layer's family (its package) and anything before its layer."""

SAME_LAYER_ALLOWED = {
    ("trainers.tables", "trainers.spec"),
    ("trainers.options", "trainers.spec"),
    ("trainers.options", "trainers.tables"),
    ("trainers.scaling", "trainers.schedules"),
    ("tuner.cost", "tuner.energy"),
    ("tuner.trial", "tuner.cost"),
    ("tuner.sharing", "tuner.earlier"),
}

HOMES = {
    "optuna": {"tuner/methods/optuna_tpe.py", "tuner/methods/importance.py"},
    "ray": {"tuner/drivers"},
    "mlflow": {"tuner/store"},
    "plotly": {"tuner/reports"},
    "yaml": {"tuner/studyfile.py"},
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
