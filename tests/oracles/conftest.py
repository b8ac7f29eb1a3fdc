"""Third-party optimizers to compare ours with. `make test` installs them; without them the tests skip."""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest


def timm_optimizer(module: str, name: str) -> Any:
    """Import one optimizer of timm without timm's models.

    timm's models need torchvision, whose wheel may replace a CPU-only torch by a CUDA build. The optimizers need torch
    alone, so their parent packages are replaced by empty ones during the import.
    """
    spec = importlib.util.find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("timm is not installed: pip install --no-deps 'timm>=1.0'")
    folder = spec.submodule_search_locations[0]
    kept = {key: sys.modules.pop(key) for key in list(sys.modules) if key.split(".")[0] == "timm"}
    try:
        for package, path in (("timm", folder), ("timm.optim", f"{folder}/optim")):
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [path]
        return getattr(importlib.import_module(f"timm.optim.{module}"), name)
    finally:
        for key in [key for key in sys.modules if key.split(".")[0] == "timm"]:
            del sys.modules[key]
        sys.modules.update(kept)


@pytest.fixture(scope="session")
def timm_lars() -> Any:
    """Return the class timm.optim.Lars."""
    return timm_optimizer("lars", "Lars")


@pytest.fixture(scope="session")
def timm_lamb() -> Any:
    """Return the class timm.optim.Lamb."""
    return timm_optimizer("lamb", "Lamb")


@pytest.fixture(scope="session")
def optax() -> Any:
    """Return optax, with JAX in double precision."""
    module = pytest.importorskip("optax", reason="optax is not installed: pip install -e '.[oracles]'")
    importlib.import_module("jax").config.update("jax_enable_x64", True)
    return module
