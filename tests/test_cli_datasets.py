"""`activelearn datasets` as a user runs it."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from campaigns.cli import main
from surrogates import datasets


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "datasets", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_list_names_data_licence_and_paper(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ACTIVELEARN_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    assert run(monkeypatch, "list") == 0
    out = capsys.readouterr().out
    for text in ("molsets", "1,076", "MIT", "PRX Energy 3, 023006 (2024)", "none yet"):
        assert text in out
    assert re.search("drxnet-published +│ none ", out)


def test_an_unknown_name_exits_with_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "check", "mollsets") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        'error: data set "mollsets": no data set is known by this name. Did you mean molsets?\n'
    )


def test_a_wrong_file_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "molsets" / "data_compiled.csv"
    path.parent.mkdir()
    path.write_text("not it\n", encoding="utf-8")
    assert run(monkeypatch, "check", "molsets", "--data-dir", str(tmp_path)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {path}: sha256 is ")
    assert captured.err.endswith("Delete this file, then run: activelearn datasets fetch molsets\n")


def test_every_file_of_a_set_is_printed_and_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    contents = {f"model_{number}": f"{number}".encode() for number in range(5)}
    folder = tmp_path / "drxnet-published"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    entry = datasets.dataset("drxnet-published")
    files = [replace(file, sha256=sha256(contents[file.name]).hexdigest()) for file in entry.files]
    monkeypatch.setattr(datasets, "DATASETS", (replace(entry, files=tuple(files)),))
    assert run(monkeypatch, "fetch", "drxnet-published", "--data-dir", str(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [f"{folder / name}" for name in contents]
    assert run(monkeypatch, "check", "drxnet-published", "--data-dir", str(tmp_path)) == 0
    assert capsys.readouterr().out == "".join(
        f"{folder / file.name}\nsha256 {file.sha256}, as published\n" for file in files
    )


def test_fetch_prints_the_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    assert run(monkeypatch, "fetch", "molsets", "--data-dir", str(data_dir)) == 0
    assert capsys.readouterr().out == f"{data_dir}/molsets/data_compiled.csv\n"


def test_check_prints_the_loaders_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    assert run(monkeypatch, "check", "molsets", "--data-dir", str(data_dir)) == 0
    out = capsys.readouterr().out
    assert "as published\n- 1076 rows read, none dropped" in out
    assert "- 51 rows: fit with R2 below 0.9, flagged poor_fit\n" in out
