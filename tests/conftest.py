"""Where the tests find data that is not committed, and settings that all of them share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # small matrices: more threads than free cores are many times slower
settings.register_profile("project", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("project")


def _directory(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"${variable} is not set")
    if not Path(value).is_dir():
        pytest.skip(f"${variable} is {value}, which is not a directory")
    return Path(value)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The directory of public data sets, one folder a source."""
    return _directory("ACTIVELEARN_DATA")


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """The directory of the published models' weights and predictions."""
    return _directory("ACTIVELEARN_REFERENCE")
