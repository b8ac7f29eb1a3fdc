"""The import direction, one line per package, and the only allowed importers of each third-party package."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

DIRECTION = """
trainers
errors sanitize addresses energy
cost past_trainings
trial
study store execution
search analysis
campaign
reports
run
commands
cli
"""
"""`trainers` and the parts of `tuner`: each may import itself and the parts on earlier lines, nothing else."""

HOMES = {
    "torch": "trainers",
    "optuna": "tuner/search",
    "ray": "tuner/execution/ray",
    "mlflow": "tuner/store",
    "yaml": "tuner/study/yaml_file.py",
    "plotly": ("tuner/reports", "tuner/commands"),
    "sacrebleu": "trainers/applications/gnmt.py",
    "tokenizers": "trainers/data/vocabulary.py",
    "torchvision": ("trainers/data/image_folder.py", "trainers/models/imagenet.py"),
    "timm": "trainers/models/imagenet.py",
    "pynvml": "trainers/energy_meter.py",
    "PIL": "trainers/data/image_folder.py",
    **dict.fromkeys(("schedulefree", "prodigyopt", "dadaptation", "dog"), "trainers/optimizers/parameter_free.py"),
}
"""Places where a third-party package may be imported."""

FACE = {"__init__", "__main__", "_zerotune"}
"""Entry points of `tuner`, which may import anything."""

MAX_FLAT_MODULES = 12


def python_files() -> list[Path]:
    return sorted([*(ROOT / "trainers").rglob("*.py"), *(ROOT / "tuner").rglob("*.py")])


def imported_modules(path: Path) -> set[str]:
    """Return the full names of a file's imports, relative ones resolved: "tuner.study.Study", "torch.nn"."""
    package = path.relative_to(ROOT).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            prefix = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{prefix}.{alias.name}" for alias in node.names}
    return {name.removeprefix("zerotune.") for name in found}


def part(module: str) -> str:
    """Return `trainers`, or the part of `tuner` that contains a module."""
    first, *rest = module.split(".")
    return rest[0] if first == "tuner" and rest else first


def arrows() -> set[tuple[str, str, str]]:
    """Return each file, its part, and each other part of this package that it imports."""
    return {
        (str(path.relative_to(ROOT)), own, other)
        for path in python_files()
        for own in [part(".".join(path.relative_to(ROOT).with_suffix("").parts))]
        for module in imported_modules(path)
        if module.split(".")[0] in ("trainers", "tuner") and (other := part(module)) != own and own not in FACE
    }


def test_imports_point_one_way() -> None:
    floors = {name: floor for floor, line in enumerate(DIRECTION.split("\n")) for name in line.split()}
    unplaced = {name for _, own, other in arrows() for name in (own, other)} - floors.keys()
    assert unplaced == set(), "give them a place in DIRECTION"
    upward = sorted(f"{file} imports {other}" for file, own, other in arrows() if floors[other] >= floors[own])
    assert upward == []


def test_each_third_party_package_has_one_home() -> None:
    strays = [
        f"{file} imports {module}"
        for path in python_files()
        for file in [str(path.relative_to(ROOT))]
        for module in imported_modules(path)
        for home in [HOMES.get(module.split(".")[0])]
        if home is not None and not file.startswith(home)
    ]
    assert strays == []


def test_tuner_is_not_flat() -> None:
    flat = [path.stem for path in (ROOT / "tuner").glob("*.py")]
    assert len(flat) <= MAX_FLAT_MODULES, flat
