"""The registry: where a copy is looked for, and that a wrong one is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pooch
import pytest

from surrogates.datasets import (
    DATASETS,
    Dataset,
    PublishedFile,
    dataset,
    fetch,
    load_dataset,
    load_excess_dataset,
    local_copy,
)
from surrogates.errors import InputError
from surrogates.excess_data import TARGETS

CONTENT = b"a published file\n"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dataset:
    """A data set of our own; no variable is set, the cache is empty and there is no network."""
    monkeypatch.delenv("ACTIVELEARN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(pooch, "retrieve", _no_network)
    return replace(DATASETS[0], name="numbers", files=(_published("numbers.csv"),))


@pytest.fixture
def several(entry: Dataset) -> Dataset:
    return replace(entry, files=tuple(map(_published, ("a.csv", "b.csv", "c.csv"))))


def _published(name: str) -> PublishedFile:
    return PublishedFile(name, f"https://example.org/commit/{name}", sha256(CONTENT).hexdigest())


def _no_network(*_: Any, **__: Any) -> str:
    raise ConnectionError("no route")


def _put(place: Path, content: bytes = CONTENT, name: str = "numbers.csv") -> Path:
    """Return the folder that the file lies in."""
    folder = place / "numbers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


def _network(served: dict[str, bytes]) -> Callable[..., str]:
    """A network that serves some files and has no others."""

    def retrieve(url: str, known_hash: str, fname: str, path: Path) -> str:
        assert url == f"https://example.org/commit/{fname}"
        if fname not in served:
            raise ConnectionError("no route")
        if known_hash != f"sha256:{sha256(served[fname]).hexdigest()}":
            raise ValueError("hash of downloaded file does not match")
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(served[fname])
        return str(path / fname)

    return retrieve


@pytest.mark.parametrize("entry_", DATASETS, ids=lambda e: e.name)
def test_every_record_is_complete_and_pinned(entry_: Dataset) -> None:
    for file in entry_.files:
        assert re.search(r"/[0-9a-f]{40}[/.]", file.url)
        assert Path(file.url).suffix == Path(file.name).suffix
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert len({file.name for file in entry_.files}) == len(entry_.files) > 0
    loaders = [entry_.load, entry_.load_excess, entry_.load_table]
    assert loaders.count(None) == (3 if entry_.rows is None else 2)
    assert entry_.rows != 0 and entry_.licence and "doi" in entry_.citation


def test_copies_are_looked_for_in_the_named_order(
    entry: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert local_copy(entry) is None
    in_cache = _put(tmp_path / "cache" / "activelearn")
    assert fetch(entry) == in_cache
    in_variable = _put(tmp_path / "variable")
    monkeypatch.setenv("ACTIVELEARN_DATA", str(tmp_path / "variable"))
    assert fetch(entry) == in_variable
    in_option = _put(tmp_path / "option")
    assert fetch(entry, tmp_path / "option") == in_option


def test_a_directory_without_the_file_is_passed_over(entry: Dataset, tmp_path: Path) -> None:
    in_cache = _put(tmp_path / "cache" / "activelearn")
    assert fetch(entry, tmp_path) == in_cache


def test_a_wrong_file_is_refused_even_if_a_right_one_comes_later(entry: Dataset, tmp_path: Path) -> None:
    _put(tmp_path / "cache" / "activelearn")
    path = _put(tmp_path / "option", CONTENT[:-2]) / "numbers.csv"
    with pytest.raises(InputError) as caught:
        fetch(entry, tmp_path / "option")
    assert str(caught.value) == (
        f"{path}: sha256 is {sha256(CONTENT[:-2]).hexdigest()}, that of the published file "
        f"{entry.files[0].sha256}. "
        "Delete this file, then run: activelearn datasets fetch numbers"
    )


def test_without_copy_and_network_one_line_says_which_file_to_put_where(
    entry: Dataset, tmp_path: Path
) -> None:
    target = tmp_path / "cache" / "activelearn" / "numbers" / "numbers.csv"
    with pytest.raises(InputError) as caught:
        fetch(entry, tmp_path)
    assert str(caught.value) == (
        f'data set "numbers", file numbers.csv: no copy at {tmp_path}/numbers/numbers.csv, {target}, and '
        f'the download failed (ConnectionError). Save https://example.org/commit/numbers.csv as "{target}".'
    )


def test_a_download_lands_in_the_cache(
    entry: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "retrieve", _network({"numbers.csv": CONTENT}))
    assert fetch(entry) == tmp_path / "cache" / "activelearn" / "numbers"
    assert (fetch(entry) / "numbers.csv").read_bytes() == CONTENT


def test_a_download_with_another_hash_is_refused(
    several: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "retrieve", _network({"a.csv": CONTENT, "b.csv": b"not it"}))
    with pytest.raises(InputError) as caught:
        fetch(several)
    assert str(caught.value) == (
        'data set "numbers", file b.csv: what came from https://example.org/commit/b.csv is not the '
        f"published file: its sha256 is not {several.files[1].sha256}. Try again, or from another network."
    )


def test_only_what_the_cache_lacks_is_downloaded(
    several: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = _put(tmp_path / "cache" / "activelearn", name="b.csv")
    before = (cache / "b.csv").stat().st_mtime_ns
    monkeypatch.setattr(pooch, "retrieve", _network({"a.csv": CONTENT, "c.csv": CONTENT}))
    assert local_copy(several) is None
    assert fetch(several) == local_copy(several) == cache
    assert sorted(path.name for path in cache.iterdir()) == ["a.csv", "b.csv", "c.csv"]
    assert (cache / "b.csv").stat().st_mtime_ns == before


def test_a_folder_that_lacks_a_file_is_passed_over(several: Dataset, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        in_cache = _put(tmp_path / "cache" / "activelearn", name=name)
    _put(tmp_path / "option", name="a.csv")
    assert fetch(several, tmp_path / "option") == in_cache


def test_every_wrong_file_of_a_folder_is_named(several: Dataset, tmp_path: Path) -> None:
    for name, content in (("a.csv", CONTENT), ("b.csv", b"1"), ("c.csv", b"2")):
        folder = _put(tmp_path / "option", content, name)
    with pytest.raises(InputError) as caught:
        local_copy(several, tmp_path / "option")
    assert str(caught.value).splitlines() == [
        f"{folder / name}: sha256 is {sha256(content).hexdigest()}, that of the published file "
        f"{several.files[0].sha256}. Delete this file, then run: activelearn datasets fetch numbers"
        for name, content in (("b.csv", b"1"), ("c.csv", b"2"))
    ]


def test_without_network_the_fullest_folder_is_the_one_to_fill(several: Dataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "activelearn" / "numbers"
    option = _put(tmp_path / "option", name="b.csv")
    _put(tmp_path / "cache" / "activelearn", name="c.csv")
    _put(tmp_path / "option", name="a.csv")
    with pytest.raises(InputError) as caught:
        fetch(several, tmp_path / "option")
    assert str(caught.value) == (
        f'data set "numbers", file c.csv: no copy at {option}/c.csv, and the download failed '
        f'(ConnectionError). Save https://example.org/commit/c.csv as "{option}/c.csv".'
    )
    (option / "a.csv").unlink()
    with pytest.raises(InputError) as caught:
        fetch(several, tmp_path / "option")
    assert str(caught.value).splitlines() == [
        f'data set "numbers", file {name}: no copy at {places}, and the download failed '
        f'(ConnectionError). Save https://example.org/commit/{name} as "{cache}/{name}".'
        for name, places in (("a.csv", f"{option}/a.csv, {cache}/a.csv"), ("b.csv", f"{cache}/b.csv"))
    ]


def test_a_data_directory_that_is_none_is_refused(entry: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch(entry, tmp_path / "nowhere")
    assert str(caught.value) == (
        f"data directory {tmp_path}/nowhere: this is not a directory. "
        "Name the directory that holds numbers/numbers.csv, or leave the option out."
    )


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        dataset("molset")
    assert str(caught.value) == (
        'data set "molset": no data set is known by this name. Did you mean molsets?'
    )


def test_what_holds_no_mixtures_is_not_read_as_such() -> None:
    with pytest.raises(InputError) as caught:
        load_dataset("drxnet-published")
    assert str(caught.value) == (
        'data set "drxnet-published": it holds weights of five DRXNet models of the discharge of disordered '
        "rock-salt cathodes, no measured mixtures with a salt. "
        "Name one that does: molsets, calisol23, diffmix."
    )


@pytest.mark.parametrize("entry_", [e for e in DATASETS if e.load], ids=lambda e: e.name)
def test_the_real_files_have_the_rows_and_hash_of_their_record(entry_: Dataset, data_dir: Path) -> None:
    data = load_dataset(entry_.name, data_dir)
    assert len(data) == entry_.rows
    assert data.sha256 in {file.sha256 for file in entry_.files}


def test_what_holds_no_excess_properties_is_not_read_as_such() -> None:
    with pytest.raises(InputError) as caught:
        load_excess_dataset("molsets", "excess_molar_volume_cm3_mol")
    assert str(caught.value) == (
        'data set "molsets": it holds ionic conductivity of polymer and liquid electrolytes with a lithium '
        "salt, 298 K, no excess properties. Name one that does: diffmix-excess, excess-properties."
    )


def test_a_file_without_a_published_hash_is_to_be_fetched_by_hand(entry: Dataset, tmp_path: Path) -> None:
    unchecked = replace(entry, files=(replace(entry.files[0], sha256=None),), folder="figures")
    target = tmp_path / "cache" / "activelearn" / "figures" / "numbers.csv"
    with pytest.raises(InputError) as caught:
        fetch(unchecked)
    assert str(caught.value) == (
        f'data set "numbers", file numbers.csv: no copy at {target}, and it has to be fetched by hand, '
        "for its home packs it anew each time and no hash can be checked. "
        f'Save https://example.org/commit/numbers.csv as "{target}".'
    )
    target.parent.mkdir(parents=True)
    target.write_text("whatever", encoding="utf-8")
    assert fetch(unchecked) == target.parent


@pytest.mark.parametrize("entry_", [e for e in DATASETS if e.load_excess], ids=lambda e: e.name)
def test_the_real_excess_properties_have_the_rows_of_their_record(entry_: Dataset, data_dir: Path) -> None:
    read = [load_excess_dataset(entry_.name, target, data_dir) for target in TARGETS]
    assert [data.target_name for data in read] == list(TARGETS)
    assert sum(map(len, read)) == entry_.rows
