"""Where the tests find data that is not committed, and settings that all of them share."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from safetensors.torch import load_file

from surrogates import datasets

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


@pytest.fixture
def published_weights(reference_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the weights of `drxnet-published` where the registry looks, pickled as their authors have them.

    Pickled here they have other hashes than there, which are put into the registry.
    """
    entry = datasets.dataset("drxnet-published")
    folder = tmp_path / "data" / entry.name
    folder.mkdir(parents=True)
    files = []
    for member, file in enumerate(entry.files):
        path = folder / file.name
        torch.save(load_file(reference_dir / f"drxnet_model_{member}.safetensors"), path)
        files.append(replace(file, sha256=sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets, "DATASETS", (replace(entry, files=tuple(files)),))
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path / "data"))
