"""`activelearn compare` on Ray: the same numbers whatever the workers, and files that can be read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from campaigns import cli
from tests.synthetic_arenas import CONSTRAINTS, SPACE


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_same_whatever_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "mine.yaml"
    text = {
        "space": SPACE,
        "constraints": CONSTRAINTS,
        "model": None,
        "strategies": ["greedy", "random"],
        "rounds": 2,
        "seeds": 2,
    }
    job.write_text(yaml.safe_dump(text))
    curves = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        assert activelearn(monkeypatch, "compare", str(job), "--out", str(out), "--workers", workers) == 0
        curves.append(pd.read_csv(out / "curves.csv").drop(columns="seconds"))
    pd.testing.assert_frame_equal(*curves)
    said = capsys.readouterr().out
    assert "has the lowest mean regret on the median of 2 seeds" in said
    assert "curves.png" in said
    assert "trajectories.png" in said
    assert (tmp_path / "1" / "trajectories.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "mine.yaml"
    text = {"space": {**SPACE, "solvents": ["EC", "SN", "DMC"]}, "model": None, "strategies": ["random"]}
    job.write_text(yaml.safe_dump(text))
    assert activelearn(monkeypatch, "compare", str(job), "--out", str(tmp_path / "out")) == 2
    assert "solvent SN: the virtual laboratory does not have it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
