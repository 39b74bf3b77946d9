"""`activelearn train`: from a user's CSV to a model that screens, and what stops it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from campaigns import cli
from surrogates.checkpoints import load_card

JOB = """
data:
  file: mine.csv
  columns: {conductivity_mS_cm: kappa}
  units: {conductivity_mS_cm: S/m}
epochs: 2
members: 2
splits: {random: 1, solvent: 1}
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("surrogates.forest.TREES", 10)
    monkeypatch.setattr("surrogates.teacher._TREES", 10)
    rng = np.random.default_rng(0)
    solvents = ["EC", "PC", "DMC", "EMC", "DEC", "DME"]
    rows = 60
    first = rng.integers(0, 6, rows)
    second = (first + rng.integers(1, 6, rows)) % 6
    pd.DataFrame(
        {
            "solvent_1": [solvents[i] for i in first],
            "solvent_2": [solvents[i] for i in second],
            "weight_fraction_1": 0.5,
            "weight_fraction_2": 0.5,
            "salt": "LiPF6",
            "molality_mol_kg": rng.uniform(0.2, 2, rows).round(3),
            "kappa": rng.uniform(0.1, 1.5, rows).round(3),
        }
    ).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path / "job.yaml"


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_users_csv_becomes_a_model_that_screens(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, twin = job.parent / "model", job.parent / "twin"
    assert activelearn(monkeypatch, "train", job, "--out", model) == 0
    said = capsys.readouterr()
    assert "forest" in said.out and "ensemble" in said.out and "MAE" in said.out
    assert "298.15" in said.err, "a missing temperature is told"
    for done in ("2 of 2 splits", "2 of 2 epochs of the final fit"):
        assert re.search(rf"^{done}, [\d.]+/s, 0 s left$", said.err, re.MULTILINE)
    card = load_card(model)
    assert {(row.splits, row.model) for row in card.scores} == {
        ("random", "ensemble"),
        ("random", "forest"),
        ("solvent", "ensemble"),
        ("solvent", "forest"),
    }
    assert card.data["rows"] == 60
    held_out = pd.read_csv(model / "held_out.csv")
    (tested,) = [row for row in card.scores if (row.splits, row.model) == ("random", "forest")]
    forest = held_out[(held_out["splits"] == "random") & (held_out["model"] == "forest")]
    error = (forest[f"{card.target}_mean"] - forest[card.target]).abs().groupby(forest["split"]).mean()
    assert error.mean() == pytest.approx(tested.mean["mae"])

    assert activelearn(monkeypatch, "train", job, "--out", twin) == 0
    assert (twin / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert (twin / "card.json").read_bytes() == (model / "card.json").read_bytes()

    space = job.parent / "space.yaml"
    space.write_text(
        "target: log10_conductivity_S_cm\n"
        "space: {solvents: [EC, DMC, DME], salts: [LiPF6, LiBF4], solvents_per_mixture: [2], "
        "molality_mol_kg: [1.0], temperature_K: [298.15]}\n"
    )
    out = job.parent / "out"
    words = ("screen", space, "--model", model, "--engine", "local", "--out", out)
    assert activelearn(monkeypatch, *words) == 0
    ranked = pd.read_csv(out / "ranked.csv")
    assert len(ranked) == 6
    assert not ranked.loc[ranked["salt"] == "LiBF4", "in_domain"].any(), "an unseen salt trips it"


def refused(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str = "model"
) -> str:
    before = sorted(job.parent.iterdir())
    assert activelearn(monkeypatch, "train", job, "--out", job.parent / out) == 2
    assert sorted(job.parent.iterdir()) == before, "nothing is written"
    return capsys.readouterr().err


def test_an_unknown_key_names_the_nearest(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(JOB.replace("epochs", "epoch"))
    assert 'key "epoch": no such key. Did you mean "epochs"?' in refused(job, monkeypatch, capsys)


def test_bad_rows_are_all_named_before_training(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(job.parent / "mine.csv").astype({"kappa": str})
    table.loc[0, "salt"] = "LiPF7"
    table.loc[3, "kappa"] = "much"
    table.to_csv(job.parent / "mine.csv", index=False)
    said = refused(job, monkeypatch, capsys)
    assert 'mine.csv, row 2, column "salt"' in said and "LiPF6" in said
    assert 'mine.csv, row 5, column "kappa"' in said and "much" in said


def test_one_member_is_refused(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(JOB.replace("members: 2", "members: 1"))
    assert 'key "members"' in refused(job, monkeypatch, capsys)


def test_a_taken_directory_is_refused_before_training(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (job.parent / "taken").mkdir()
    (job.parent / "taken" / "notes.txt").write_text("mine")
    assert "something stands here already" in refused(job, monkeypatch, capsys, "taken")


def test_a_seed_too_large_for_the_splits_is_refused(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(JOB + "seed: 5000000000\n")
    assert 'key "seed"' in refused(job, monkeypatch, capsys)


def test_a_target_that_a_data_set_does_not_hold_is_refused(
    job: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text("data: {dataset: molsets}\ntarget: log10_conductivity_mS_cm\n")
    assert refused(job, monkeypatch, capsys) == (
        'error: key "target": log10_conductivity_mS_cm is not what molsets holds. '
        "Write log10_conductivity_S_cm.\n"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epochs: yes", 'key "epochs": True came; input should be a valid integer.'),
        ("epochs: 0", 'key "epochs": 0 came; input should be greater than or equal to 1.'),
        (
            "epochs: 1000000000",
            'key "epochs": 1000000000 came; input should be less than or equal to 100000.',
        ),
        ("members: 1000000000", 'key "members": 1000000000 came; input should be less than or equal to 100.'),
        ("seed: 1.5", 'key "seed": 1.5 came; input should be a valid integer.'),
        (
            "splits: {random: 10000000}",
            'key "splits.random": 10000000 came; input should be less than or equal to 1000.',
        ),
        (
            "splits: {test_fraction: 0.9}",
            'key "splits.test_fraction": 0.9 came; input should be less than 0.5.',
        ),
    ],
)
def test_counts_are_whole_and_within_bounds(
    line: str,
    message: str,
    job: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job.write_text(f"data: {{file: mine.csv}}\n{line}\n")
    assert refused(job, monkeypatch, capsys) == f"error: job.yaml, {message} Correct the value.\n"
