"""The registry: where a copy is looked for, and that a wrong one is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pooch
import pytest

from surrogates.datasets import DATASETS, Dataset, dataset, fetch, load_dataset, local_copy
from surrogates.errors import InputError

CONTENT = b"a published file\n"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dataset:
    """A data set of our own; no variable is set, the cache is empty and there is no network."""
    monkeypatch.delenv("ACTIVELEARN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(pooch, "retrieve", _no_network)
    url = "https://example.org/commit/numbers.csv"
    return replace(DATASETS[0], name="numbers", url=url, sha256=sha256(CONTENT).hexdigest())


def _no_network(*_: Any, **__: Any) -> str:
    raise ConnectionError("no route")


def _put(place: Path, content: bytes = CONTENT) -> Path:
    path = place / "numbers" / "numbers.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("entry_", DATASETS, ids=lambda e: e.name)
def test_every_record_is_complete_and_pinned(entry_: Dataset) -> None:
    assert re.search(r"/[0-9a-f]{40}/", entry_.url)
    assert re.fullmatch(r"[0-9a-f]{64}", entry_.sha256)
    assert entry_.rows > 0 and entry_.licence and "doi" in entry_.citation


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
    path = _put(tmp_path / "option", CONTENT[:-2])
    with pytest.raises(InputError) as caught:
        fetch(entry, tmp_path / "option")
    assert str(caught.value) == (
        f"{path}: sha256 is {sha256(CONTENT[:-2]).hexdigest()}, that of the published file {entry.sha256}. "
        "Delete this file, then run: activelearn datasets fetch numbers"
    )


def test_without_copy_and_network_one_line_says_which_file_to_put_where(
    entry: Dataset, tmp_path: Path
) -> None:
    target = tmp_path / "cache" / "activelearn" / "numbers" / "numbers.csv"
    with pytest.raises(InputError) as caught:
        fetch(entry, tmp_path)
    assert str(caught.value) == (
        f'data set "numbers": no copy at {tmp_path}/numbers/numbers.csv, {target}, and the download failed '
        f'(ConnectionError). Save https://example.org/commit/numbers.csv as "{target}".'
    )


def test_a_download_lands_in_the_cache(
    entry: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retrieve(url: str, known_hash: str, fname: str, path: Path) -> str:
        assert (url, known_hash) == (entry.url, f"sha256:{entry.sha256}")
        path.mkdir(parents=True)
        (path / fname).write_bytes(CONTENT)
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert fetch(entry) == tmp_path / "cache" / "activelearn" / "numbers" / "numbers.csv"
    assert fetch(entry).read_bytes() == CONTENT


def test_a_download_with_another_hash_is_refused(entry: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(*_: Any, **__: Any) -> str:
        raise ValueError("hash of downloaded file does not match")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(InputError) as caught:
        fetch(entry)
    assert str(caught.value) == (
        'data set "numbers": what came from https://example.org/commit/numbers.csv is not the published '
        f"file: its sha256 is not {entry.sha256}. Try again, or from another network."
    )


def test_a_data_directory_that_is_none_is_refused(entry: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch(entry, tmp_path / "nowhere")
    assert str(caught.value) == (
        f"data directory {tmp_path}/nowhere: this is not a directory. "
        "Name the directory that holds molsets/data_compiled.csv, or leave the option out."
    )


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        dataset("molset")
    assert str(caught.value) == (
        'data set "molset": no data set is known by this name. Did you mean molsets?'
    )


@pytest.mark.parametrize("entry_", DATASETS, ids=lambda e: e.name)
def test_the_real_files_have_the_rows_and_hash_of_their_record(entry_: Dataset, data_dir: Path) -> None:
    data = load_dataset(entry_.name, data_dir)
    assert len(data) == entry_.rows
    assert data.sha256 == entry_.sha256
