"""`activelearn distill`: what goes in and out of the command, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns import cli, distill
from surrogates.checkpoints import load_card
from surrogates.student_training import StudentSettings

SPACE = """
space:
  solvents: [EC, DMC, DEC, DME, PC, EMC]
  salts: [LiPF6, LiBF4, LiTFSI, LiClO4, LiBOB]
  molality_mol_kg: [0.5, 1.0]
"""
"""150 candidates."""


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "distill", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE, encoding="utf-8")
    return tmp_path / "space.yaml"


def test_a_model_that_ships_is_distilled(
    space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distill, "TEACHING", StudentSettings(steps=5))
    out = space.parent / "student"
    assert activelearn(monkeypatch, "molsets-conductivity", space, "--out", out, "--seed", 4) == 0
    told = load_card(out).stands_for
    assert told is not None
    assert (told.members, told.taught, told.errors.fresh, told.seed) == (5, 120, 30, 4)
    said = capsys.readouterr().out
    assert "One network for 5: on 30 candidates that it was not taught" in said
    assert f"{told.errors.std_spearman:.3f}" in said
    assert said.endswith(f"The student is in {out}.\n")


def test_an_interrupt_leaves_nothing(
    space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(distill, "teach", interrupted)
    out = space.parent / "student"
    assert activelearn(monkeypatch, "molsets-conductivity", space, "--out", out) == 130
    assert capsys.readouterr().err.endswith("Interrupted. Nothing was written.\n")
    assert not out.exists()


def test_bad_input_exits_with_2(
    space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert activelearn(monkeypatch, space.parent / "none", space, "--out", space.parent / "student") == 2
    assert capsys.readouterr().err.startswith(f"error: {space.parent / 'none'}")
