"""What every test may ask for."""

import os
from pathlib import Path

import pytest

from zoo.context import Context

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def assets() -> Path:
    """The reference data: real weights, real images, goldens."""
    folder = Path(os.environ.get("ZOO_ASSETS", ROOT / "../shared/assets")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no reference data in {folder} (set ZOO_ASSETS)")
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A context in an empty workspace, without the network."""
    return Context(root=tmp_path, cache=tmp_path / "cache", offline=True, environment={})
