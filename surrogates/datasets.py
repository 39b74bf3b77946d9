"""Public data sets: where they are, whether a copy is the right one, and how they are read."""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch

from surrogates.calisol_data import load_calisol
from surrogates.diffmix_data import load_diffmix
from surrogates.diffmix_excess import load_diffmix_excess
from surrogates.errors import InputError, Problem
from surrogates.excess_data import ExcessData, load_excess
from surrogates.mixture_data import MixtureData
from surrogates.molsets_data import load_molsets
from surrogates.number_tables import NumberTable
from surrogates.olympus_data import OER_PLATE, P3HT, load_olympus

DATA_VARIABLE = "ACTIVELEARN_DATA"


@dataclass(frozen=True)
class PublishedFile:
    """A file as its authors published it.

    Attributes:
        name: In the folder of its data set; its home may call it otherwise.
        url: At a fixed commit.
        sha256: Of its bytes; None if its home packs it anew for each download, so that there is none.
    """

    name: str
    url: str
    sha256: str | None


@dataclass(frozen=True)
class Dataset:
    """Published files and how to read them.

    Attributes:
        name: What it is called here, and the folder its files lie in unless `folder` is given.
        what: What it holds, in a line.
        rows: Number of measurements that it holds; None if it holds none.
        licence: As its authors state it.
        citation: Whom to cite.
        files: One or more; all are needed.
        load: Reads the folder, once all hashes have been checked; None if it holds no electrolytes.
        load_excess: Reads an excess property, a key of `excess_data.TARGETS`; None if it holds none.
        folder: Where its files lie, if not under its name.
        load_table: Reads a table of numbers; None if it is none.
        lowest: Whether the lowest of its measurements is the best.
    """

    name: str
    what: str
    rows: int | None
    licence: str
    citation: str
    files: tuple[PublishedFile, ...]
    load: Callable[[Path], MixtureData] | None = None
    load_excess: Callable[[Path, str], ExcessData] | None = None
    folder: str = ""
    load_table: Callable[[Path], NumberTable] | None = None
    lowest: bool = False

    def below(self, place: Path) -> Path:
        """Return the folder of its files in a place that holds data sets."""
        return place / (self.folder or self.name)


_MOLSETS_FILE = "data_compiled.csv"
_CALISOL_FILE = "calisol23_dtu.csv"
_DIFFMIX_FILE = "published_AEM_data.csv"
_DIFFMIX = (
    "https://raw.githubusercontent.com/BattModels/DiffMix-NatCommData/"
    "a3651ba671d2e54ed3a16f27d7d334a3339b7f54/training_data/"
)
_DIFFMIX_EXCESS = {
    "excess_molar_enthalpy_J_mol": "published_excess_molar_enthalpy.csv",
    "excess_molar_volume_cm3_mol": "published_excess_molar_volume.csv",
}
_EXCESS_FILE = "curated_json.tar.gz"
_OLYMPUS_FILE = "data.csv"
_OLYMPUS = (
    "https://raw.githubusercontent.com/aspuru-guzik-group/olympus/"
    "440b6b58ebfcaa2391cff7e94b570fb4fda98d68/src/olympus/datasets/dataset_"
)
_DRXNET = (
    "https://raw.githubusercontent.com/zhongpc/drxnet/"
    "c5fba7be2c312a32f9b809d4babe9df55bdfc790/drxnet/pretrained/"
)


def _olympus(folder: str, sha256: str) -> tuple[PublishedFile]:
    return (PublishedFile(_OLYMPUS_FILE, f"{_OLYMPUS}{folder}/{_OLYMPUS_FILE}", sha256),)


DATASETS = (
    Dataset(
        name="molsets",
        what="ionic conductivity of polymer and liquid electrolytes with a lithium salt, 298 K",
        rows=1076,
        licence="MIT",
        citation="Zhang et al., PRX Energy 3, 023006 (2024), doi 10.1103/PRXEnergy.3.023006",
        files=(
            PublishedFile(
                name=_MOLSETS_FILE,
                url="https://raw.githubusercontent.com/Henrium/MolSets/"
                f"d20a40d065b3a5077d0c93b4e372badece3eae97/data/{_MOLSETS_FILE}",
                sha256="18c2cb3ba5c87acc6badec8aa56dff4d78f40b327bbb20bc59c7892f7f98f1f9",
            ),
        ),
        load=lambda folder: load_molsets(folder / _MOLSETS_FILE),
    ),
    Dataset(
        name="calisol23",
        what="ionic conductivity of liquid electrolytes with a lithium salt, 194 to 477 K",
        rows=13266,
        licence="CC BY 4.0",
        citation="de Blasio et al., Sci. Data 11, 750 (2024), doi 10.1038/s41597-024-03575-8; "
        "data doi 10.11583/DTU.c.6929599",
        files=(
            PublishedFile(
                name=_CALISOL_FILE,
                url="https://raw.githubusercontent.com/jkoor/ElectrolyteML/"
                "c32acf8de93c112785b6b78eea5f0a3366a5cae9/data/calisol23/"
                "calisol23_DOI_10.11583DTU.c.6929599.csv",
                sha256="850ff20eaad7abfe86fdd455b9cbf661e1b393dbdf9bb33e47769e00c2f5f617",
            ),
        ),
        load=lambda folder: load_calisol(folder / _CALISOL_FILE),
    ),
    Dataset(
        name="diffmix",
        what="ionic conductivity, simulated, of ternary carbonates with a lithium salt, 243 to 293 K",
        rows=24822,
        licence="CC BY-NC-ND 4.0",
        citation="Zhu et al., Nat. Commun. 15, 8649 (2024), doi 10.1038/s41467-024-51653-7",
        files=(
            PublishedFile(
                name=_DIFFMIX_FILE,
                url=_DIFFMIX + _DIFFMIX_FILE,
                sha256="2f44ba6e69c07bbee4c914afa5b47ad9ae2b0769eb951b22330f4ecf3a244c7f",
            ),
        ),
        load=lambda folder: load_diffmix(folder / _DIFFMIX_FILE),
    ),
    Dataset(
        name="diffmix-excess",
        what="excess molar enthalpies (631) and volumes (1,069) of binary mixtures, 293 to 343 K",
        rows=1700,
        licence="CC BY-NC-ND 4.0",
        citation="Zhu et al., Nat. Commun. 15, 8649 (2024), doi 10.1038/s41467-024-51653-7",
        files=tuple(
            PublishedFile(name=name, url=_DIFFMIX + name, sha256=sha256)
            for name, sha256 in zip(
                _DIFFMIX_EXCESS.values(),
                (
                    "96a1492a718fd7f16139e0d4121cee297fbcbfc5bdaea1313edb750b99aa7284",
                    "c3dc08aa5e9f404e60981230ecd6967ee0eedc30620a3bc5423e7b2cce416e89",
                ),
                strict=True,
            )
        ),
        load_excess=lambda folder, target: load_diffmix_excess(folder / _DIFFMIX_EXCESS[target]),
        folder="diffmix",
    ),
    Dataset(
        name="excess-properties",
        what="excess molar enthalpies (2,423) and volumes (1,414) of binary mixtures, 278 to 338 K",
        rows=3837,
        licence="Apache-2.0",
        citation="Wadell and Bhutani, excess-properties-dataset, doi 10.5281/zenodo.19825668",
        files=(
            PublishedFile(
                name=_EXCESS_FILE,
                url="https://github.com/BattModels/excess-properties-dataset/archive/"
                "54c96049c9c81dd84b848a71121a80b4dbf84a3c.tar.gz",
                sha256=None,
            ),
        ),
        load_excess=lambda folder, target: load_excess(folder / _EXCESS_FILE, target),
        folder="excess_properties",
    ),
    Dataset(
        name="drxnet-published",
        what="weights of five DRXNet models of the discharge of disordered rock-salt cathodes",
        rows=None,
        licence="MIT",
        citation="Zhong et al., Joule (2024), doi 10.1016/j.joule.2024.03.010",
        files=tuple(
            PublishedFile(name=f"model_{number}", url=f"{_DRXNET}model_{number}", sha256=sha256)
            for number, sha256 in enumerate(
                (
                    "9e3950bdb6edadb62b612708b3a85f3a47ad8395db2bba5e519a7619580d44ab",
                    "7e59759e6e896d4ff314393f2efdc6502c9eae7055dcfba934a178bc40614b06",
                    "705f16e37f681917986053762c4929cc00535d7e28adb787ee515c4cd9a1ceed",
                    "bd447f6e15b6ce9ce55e25f2444429cafb739a5fca758a525f08e4cbd9197099",
                    "47a3612296cb2cdbbe390d17d311eb224049173829ea66685c5e2e99e8d30ea9",
                )
            )
        ),
    ),
    Dataset(
        name="oer_plate",
        what="overpotential of oxygen evolution on oxides of up to four of Ni, Fe, Co, Mn, Ce, La",
        rows=2121,
        licence="MIT",
        citation="Rohr et al., Chem. Sci. 11, 2696 (2020), doi 10.1039/C9SC05999G; its plate 3496",
        files=_olympus("oer_plate_3496", "3c70049ccfdd11bc05d1777421fc4c724d2b2d4a86c12b8759079609912cfade"),
        folder="olympus/oer_plate_3496",
        load_table=lambda folder: load_olympus(folder / _OLYMPUS_FILE, OER_PLATE),
        lowest=True,
    ),
    Dataset(
        name="p3ht",
        what="electrical conductivity of blends of P3HT with four kinds of carbon nanotubes",
        rows=178,
        licence="MIT",
        citation="Bash et al., Adv. Funct. Mater. 31, 2102606 (2021), doi 10.1002/adfm.202102606",
        files=_olympus("p3ht", "be832eb97e1e18f49766733ca5865718b57819fdaf4e6fcaa2f53873360838c8"),
        folder="olympus/p3ht",
        load_table=lambda folder: load_olympus(folder / _OLYMPUS_FILE, P3HT),
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
    """Return its first folder with all files, in `data_dir`, $ACTIVELEARN_DATA or the user's cache, or None.

    Raises:
        InputError: If a file that was found is not the published one.
    """
    for folder in _folders(entry, data_dir):
        _check_hashes(entry, folder)
        if not _missing(entry, folder):
            return folder
    return None


def fetch(entry: Dataset, data_dir: Path | None = None) -> Path:
    """Return a folder with checked copies of all files; what is missing is downloaded into the user's cache.

    Args:
        entry: The data set.
        data_dir: Searched before $ACTIVELEARN_DATA and the user's cache.

    Raises:
        InputError: If a copy is not the published file, or there is none and no network either.
    """
    found = local_copy(entry, data_dir)
    if found is not None:
        return found
    folder = entry.below(_cache())
    unchecked = [file for file in _missing(entry, folder) if file.sha256 is None]
    if unchecked:
        why = "it has to be fetched by hand, for its home packs it anew each time and no hash can be checked"
        raise InputError(_to_be_saved(entry, data_dir, why))
    pooch.get_logger().setLevel(logging.WARNING)
    for file in _missing(entry, folder):
        try:
            pooch.retrieve(file.url, f"sha256:{file.sha256}", fname=file.name, path=folder)
        except ValueError:  # pooch has deleted what came
            raise InputError(
                Problem(
                    _where(entry, file),
                    f"what came from {file.url} is not the published file: its sha256 is not {file.sha256}",
                    "Try again, or from another network.",
                )
            ) from None
        except OSError as error:
            raise InputError(
                _to_be_saved(entry, data_dir, f"the download failed ({type(error).__name__})")
            ) from error
    return folder


def load_dataset(name: str, data_dir: Path | None = None) -> MixtureData:
    """Return the data set of that name, fetched and checked where need be.

    Raises:
        InputError: As `dataset` and `fetch` do, or if it holds no measured mixtures.
    """
    entry = dataset(name)
    if entry.load is None:
        raise _holds_none(entry, "measured mixtures with a salt", [one for one in DATASETS if one.load])
    return entry.load(fetch(entry, data_dir))


def load_table(name: str, data_dir: Path | None = None) -> NumberTable:
    """Return the table of numbers of that name, fetched and checked where need be.

    Raises:
        InputError: As `dataset` and `fetch` do, or if it is no table of numbers.
    """
    entry = dataset(name)
    if entry.load_table is None:
        raise _holds_none(entry, "table of numbers", [one for one in DATASETS if one.load_table])
    return entry.load_table(fetch(entry, data_dir))


def load_excess_dataset(name: str, target: str, data_dir: Path | None = None) -> ExcessData:
    """Return an excess property of the data set of that name, fetched and checked where need be.

    Args:
        name: Of the data set.
        target: Of the property, a key of `excess_data.TARGETS`.
        data_dir: Searched before $ACTIVELEARN_DATA and the user's cache.

    Raises:
        InputError: As `dataset` and `fetch` do, or if it holds no excess properties.
    """
    entry = dataset(name)
    if entry.load_excess is None:
        raise _holds_none(entry, "excess properties", [one for one in DATASETS if one.load_excess])
    return entry.load_excess(fetch(entry, data_dir), target)


def _holds_none(entry: Dataset, what: str, others: Sequence[Dataset]) -> InputError:
    wrong = f"it holds {entry.what}, no {what}"
    mend = f"Name one that does: {', '.join(other.name for other in others)}."
    return InputError(Problem(f'data set "{entry.name}"', wrong, mend))


def _cache() -> Path:
    return Path(pooch.os_cache("activelearn"))


def _folders(entry: Dataset, data_dir: Path | None) -> list[Path]:
    if data_dir is not None and not data_dir.is_dir():
        raise InputError(
            Problem(
                f"data directory {data_dir}",
                "this is not a directory",
                f"Name the directory that holds {entry.below(Path()) / entry.files[0].name}, "
                "or leave the option out.",
            )
        )
    named = os.environ.get(DATA_VARIABLE)
    places = (data_dir, Path(named) if named else None, _cache())
    return [entry.below(place) for place in places if place is not None]


def _missing(entry: Dataset, folder: Path) -> list[PublishedFile]:
    return [file for file in entry.files if not (folder / file.name).is_file()]


def _where(entry: Dataset, file: PublishedFile) -> str:
    return f'data set "{entry.name}", file {file.name}'


def _to_be_saved(entry: Dataset, data_dir: Path | None, why: str) -> list[Problem]:
    """Return which files to put where: those that the fullest folder lacks, the cache if all are equal."""
    folders = _folders(entry, data_dir)
    fullest = min(reversed(folders), key=lambda folder: len(_missing(entry, folder)))
    problems = []
    for file in _missing(entry, fullest):
        searched = ", ".join(str(folder / file.name) for folder in folders if file in _missing(entry, folder))
        wrong = f"no copy at {searched}, and {why}"
        problems.append(Problem(_where(entry, file), wrong, f'Save {file.url} as "{fullest / file.name}".'))
    return problems


def _check_hashes(entry: Dataset, folder: Path) -> None:
    problems = []
    for file in entry.files:
        path = folder / file.name
        if file.sha256 is None or not path.is_file():
            continue
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != file.sha256:
            wrong = f"sha256 is {found}, that of the published file {file.sha256}"
            mend = f"Delete this file, then run: activelearn datasets fetch {entry.name}"
            problems.append(Problem(str(path), wrong, mend))
    if problems:
        raise InputError(problems)
