"""`activelearn train` on excess properties: from a user's CSV to a model, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest
import torch

from campaigns import cli
from surrogates import excess_baselines
from surrogates.excess_models import ExcessCard, load_excess_model
from surrogates.excess_training import predict
from surrogates.model_directories import read_card
from surrogates.training import TrainingSettings
from tests.synthetic_excess import excess

DATA = excess()
VOLUME = "excess_molar_volume_cm3_mol"
JOB = f"""
excess: {{file: mine.csv, property: {VOLUME}}}
members: 2
steps: 3
order: 2
other_orders: [0]
splits: {{rows: 1, pairs: 1}}
seed: 7
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(excess_baselines, "TREES", 5)
    monkeypatch.setattr(excess_baselines, "_TRAINING", TrainingSettings(2, 16))
    smiles = [component.smiles for component in DATA.table.components]
    lines = [
        f"{smiles[a]},{smiles[b]},{x:.3f},298.15,{target:.6f}"
        for (a, b), x, target in zip(
            DATA.molecules.tolist(), DATA.x.tolist(), DATA.target.tolist(), strict=True
        )
    ]
    header = f"molecule_1,molecule_2,mole_fraction_1,temperature_K,{VOLUME}"
    (tmp_path / "mine.csv").write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    with joblib.parallel_config(backend="sequential"):  # the small baselines hold in this process only
        yield tmp_path / "job.yaml"


def train(monkeypatch: pytest.MonkeyPatch, job: Path, out: str = "model") -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", "train", str(job), "--out", str(job.parent / out)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def refused(job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    before = sorted(job.parent.iterdir())
    assert train(monkeypatch, job) == 2
    assert sorted(job.parent.iterdir()) == before, "nothing is written"
    return capsys.readouterr().err


def test_a_users_csv_becomes_a_model_that_predicts(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(monkeypatch, job) == 0
    said = capsys.readouterr()
    for words in ("rows at random (1 splits)", "unseen pairs (1 splits)", "MAE, exchanged"):
        assert words in said.out
    assert "60 rows read, none dropped; 6 pairs of molecules" in said.err
    card = read_card(job.parent / "model", ExcessCard)
    laws = [f"Redlich-Kister, order {order}" for order in (2, 0)]
    models = [laws[0], "Gaussian process", laws[1], "GNN-only", "fingerprint", "forest"]
    assert [(row.splits, row.model) for row in card.scores] == [
        *(("rows", model) for model in models),
        *(("pairs", model) for model in models if not model.endswith("0")),
    ]
    for row in card.scores:
        if row.model != "fingerprint":
            assert row.mean["mae_exchanged"] == pytest.approx(row.mean["mae"], rel=1e-5)
    assert (card.target, card.data["rows"], card.data["source"]) == (VOLUME, 60, "mine.csv")

    model = load_excess_model(job.parent / "model")
    found = predict(model, DATA)
    assert bool(found.in_domain.all()) and bool((found.std > 0).all())
    assert train(monkeypatch, job, "twin") == 0
    for name in ("model.safetensors", "card.json"):
        assert (job.parent / "twin" / name).read_bytes() == (job.parent / "model" / name).read_bytes()
    assert torch.equal(predict(load_excess_model(job.parent / "twin"), DATA).mean, found.mean)


def test_bad_rows_are_named_before_training(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = job.parent / "mine.csv"
    table.write_text(
        table.read_text(encoding="utf-8").replace("0.050,298.15", "5,298.15", 1), encoding="utf-8"
    )
    assert refused(job, monkeypatch, capsys) == (
        'error: mine.csv, row 2, column "mole_fraction_1": "5" is not a fraction between 0 and 1. Correct '
        "the cell, or name its unit if the column holds percent.\n"
    )


def test_two_pairs_cannot_test_on_unseen_ones(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = job.parent / "mine.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join((*lines[:21], *lines[1:21])) + "\n", encoding="utf-8")
    assert refused(job, monkeypatch, capsys).splitlines()[-1] == (
        "error: mine.csv: 2 pairs of molecules; a test on unseen pairs needs 3. "
        "Add measurements of other pairs, or write splits: {pairs: 0}."
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("order: 2", "order: 13", 'key "order": 13 came; input should be less than or equal to 12.'),
        ("steps: 3", "step: 3", 'key "step": no such key. Did you mean "steps"?'),
        ("members: 2", "members: 1", 'key "members": 1 came; input should be greater than or equal to 2.'),
        (
            "{file: mine.csv",
            "{file: mine.csv, dataset: diffmix-excess",
            'key "excess": give either dataset, a name that `activelearn datasets list` shows, or file.',
        ),
        (
            "{file: mine.csv",
            "{units: {temperature_K: degC}, dataset: diffmix-excess",
            'key "excess": columns and units belong to a file; a data set\'s are known.',
        ),
        (
            VOLUME,
            "volume",
            "key \"excess.property\": 'volume' came; input should be 'excess_molar_enthalpy_J_mol' or "
            "'excess_molar_volume_cm3_mol'.",
        ),
    ],
)
def test_keys_are_checked(
    old: str,
    new: str,
    message: str,
    job: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job.write_text(JOB.replace(old, new), encoding="utf-8")
    assert refused(job, monkeypatch, capsys).startswith(f"error: job.yaml, {message}")


def test_a_data_set_without_excess_properties_is_refused(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job.write_text(JOB.replace("file: mine.csv", "dataset: drxnet-published"), encoding="utf-8")
    assert refused(job, monkeypatch, capsys) == (
        'error: data set "drxnet-published": it holds weights of five DRXNet models of the discharge of '
        "disordered rock-salt cathodes, no excess properties. "
        "Name one that does: diffmix-excess, excess-properties.\n"
    )
