"""Public data sets: where they are, whether a copy is the right one, and how it is read."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch

from surrogates.errors import InputError, Problem
from surrogates.mixture_data import MixtureData
from surrogates.molsets_data import load_molsets

DATA_VARIABLE = "ACTIVELEARN_DATA"


@dataclass(frozen=True)
class Dataset:
    """A published file and how to read it.

    Attributes:
        name: What it is called here, and the folder it lies in.
        what: What was measured, in a line.
        rows: Number of measurements.
        licence: As its authors state it.
        citation: Whom to cite.
        url: Of the file, at a fixed commit.
        sha256: Of the file.
        load: Reads the file, once its hash has been checked.
    """

    name: str
    what: str
    rows: int
    licence: str
    citation: str
    url: str
    sha256: str
    load: Callable[[Path], MixtureData]

    @property
    def path(self) -> Path:
        """Where the file lies in a data directory: `<name>/<file>`."""
        return Path(self.name) / self.url.rsplit("/", 1)[-1]


DATASETS = (
    Dataset(
        name="molsets",
        what="ionic conductivity of polymer and liquid electrolytes with a lithium salt, 298 K",
        rows=1076,
        licence="MIT",
        citation="Zhang et al., PRX Energy 3, 023006 (2024), doi 10.1103/PRXEnergy.3.023006",
        url="https://raw.githubusercontent.com/Henrium/MolSets/"
        "d20a40d065b3a5077d0c93b4e372badece3eae97/data/data_compiled.csv",
        sha256="18c2cb3ba5c87acc6badec8aa56dff4d78f40b327bbb20bc59c7892f7f98f1f9",
        load=load_molsets,
    ),
)


def dataset(name: str) -> Dataset:
    """Return the data set of that name.

    Raises:
        InputError: If there is none; it names the nearest.
    """
    known = {entry.name: entry for entry in DATASETS}
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1) or sorted(known)
    raise InputError(
        Problem(
            f'data set "{name}"', "no data set is known by this name", f"Did you mean {', '.join(nearest)}?"
        )
    )


def local_copy(entry: Dataset, data_dir: Path | None = None) -> Path | None:
    """Return the first copy in `data_dir`, $ACTIVELEARN_DATA or the user's cache; None if there is none.

    Raises:
        InputError: If the copy that was found is not the published file.
    """
    for place in _places(data_dir):
        path = place / entry.path
        if path.is_file():
            _check_hash(entry, path)
            return path
    return None


def fetch(entry: Dataset, data_dir: Path | None = None) -> Path:
    """Return a checked copy of the file; it is downloaded into the user's cache if there is none.

    Args:
        entry: The data set.
        data_dir: Searched before $ACTIVELEARN_DATA and the user's cache.

    Raises:
        InputError: If a copy is not the published file, or there is none and no network either.
    """
    found = local_copy(entry, data_dir)
    if found is not None:
        return found
    target = _cache() / entry.path
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(entry.url, f"sha256:{entry.sha256}", fname=target.name, path=target.parent)
    except ValueError:  # pooch has deleted what came
        raise InputError(
            Problem(
                f'data set "{entry.name}"',
                f"what came from {entry.url} is not the published file: its sha256 is not {entry.sha256}",
                "Try again, or from another network.",
            )
        ) from None
    except OSError as error:
        searched = ", ".join(str(place / entry.path) for place in _places(data_dir))
        raise InputError(
            Problem(
                f'data set "{entry.name}"',
                f"no copy at {searched}, and the download failed ({type(error).__name__})",
                f'Save {entry.url} as "{target}".',
            )
        ) from error
    return target


def load_dataset(name: str, data_dir: Path | None = None) -> MixtureData:
    """Return the data set of that name, fetched and checked where need be.

    Raises:
        InputError: As `dataset` and `fetch` do.
    """
    entry = dataset(name)
    return entry.load(fetch(entry, data_dir))


def _cache() -> Path:
    return Path(pooch.os_cache("activelearn"))


def _places(data_dir: Path | None) -> list[Path]:
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(
            Problem(
                f"data directory {data_dir}",
                "this is not a directory",
                f"Name the directory that holds {DATASETS[0].path}, or leave the option out.",
            )
        )
    named = os.environ.get(DATA_VARIABLE)
    return [place for place in (data_dir, Path(named) if named else None, _cache()) if place is not None]


def _check_hash(entry: Dataset, path: Path) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise InputError(
            Problem(
                str(path),
                f"sha256 is {found}, that of the published file {entry.sha256}",
                f"Delete this file, then run: activelearn datasets fetch {entry.name}",
            )
        )
