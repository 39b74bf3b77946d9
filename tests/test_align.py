"""`activelearn align`: few measurements in, a model out that predicts, screens and maps; what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from campaigns import cli
from campaigns.predict import predict_to_file
from surrogates.aligned_model import AlignedModel
from surrogates.checkpoints import load_card, load_model
from surrogates.errors import InputError
from surrogates.laboratories import FAMILIES, default_laboratories
from surrogates.model_directories import CARD, model_hash
from tests.saved_models import saved_ensemble, saved_law_model, saved_student
from tests.synthetic_gps import small_gp

HEADER = "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K"
Y = "log10_conductivity_S_cm"
LANDSCAPE = """
temperature_K: 300
step: 0.5
systems:
  - {solvents: [EC, DMC, EMC], salt: LiPF6, lithium_mole_fraction: 0.08}
"""
SCREEN = """
space:
  solvents: [EC, DMC, DEC]
  salts: [LiPF6]
top_k: 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model() -> str:
    return saved_law_model(Path("model"))


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def measure(model: str, factor: float, rows: int = 8, salt: str = "LiPF6") -> None:
    """Write `lab.csv`: what a laboratory reads that gets a factor of what the model says, in mS/cm."""
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.2, 0.8, rows).round(3)
    lines = [
        f"EC,{x},DMC,{1 - x:.3f},{salt},{rng.uniform(0.5, 1.5):.2f},{rng.integers(260, 320)}" for x in shares
    ]
    Path("asked.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    Path("said.csv").unlink(missing_ok=True)
    predict_to_file(model, Path("asked.csv"), Path("said.csv"), {}, {}, False, Console(quiet=True))
    said = pd.read_csv("said.csv")
    kappa = factor * 10 ** (said[f"{Y}_mean"] + 3)
    pd.read_csv("asked.csv").assign(kappa=kappa).to_csv("lab.csv", index=False)


ALIGN = ("lab.csv", "--column", "conductivity_mS_cm=kappa", "--out", "mine")


def test_a_factor_is_found_told_and_written(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.88)
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    card = load_card(Path("mine"))
    assert card.alignment is not None
    about = card.alignment
    assert about.family != "none"
    mean, low, high = about.factor
    assert mean == pytest.approx(0.88, abs=0.03)
    assert low < mean < high
    assert (about.source, about.rows, about.rows_set_aside) == ("lab.csv", 8, ())
    assert about.sha256 == hashlib.sha256(Path("lab.csv").read_bytes()).hexdigest()
    assert about.model_sha256 == model_hash(Path(model))
    assert about.laboratories == default_laboratories().source
    assert card.model_copy(update={"alignment": None}) == load_card(Path(model))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "correction"
    told = {line.split()[0]: line.split()[1] for line in lines[2:6]}
    assert told == {found.family: f"{found.score:.2f}" for found in about.candidates}
    assert lines[-4].startswith(f"Chosen: {about.family}, a factor")
    assert lines[-4].endswith(
        " nats in how it foretells each row from the others and how many papers needed it."
    )
    papers = {line.split()[0]: line.split()[-1] for line in lines[2:6]}
    assert papers == {"none": "9%", "factor": "2%", "slope": "9%", "residual": "81%"}
    assert lines[-3:] == [
        f"Your laboratory reads {mean:.2f} ({low:.2f} to {high:.2f}) of the model, over its rows.",
        f"What was expected: {default_laboratories().source}.",
        "The aligned model: mine",
    ]


def test_other_commands_take_the_aligned_model(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(model, 0.85)
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    aligned = load_model(Path("mine"))
    assert isinstance(aligned, AlignedModel)
    assert activelearn(monkeypatch, "predict", "mine", "asked.csv", "-o", "aligned.csv") == 0
    before, after = (pd.read_csv(name)[f"{Y}_mean"] for name in ("said.csv", "aligned.csv"))
    np.testing.assert_allclose(after - before, np.log10(0.85), atol=0.02)
    assert activelearn(monkeypatch, "evaluate", "mine", *ALIGN[:3], "--out", "judged") == 0
    assert json.loads(Path("judged/scores.json").read_text())["model"]["aligned_with"]["source"] == "lab.csv"
    Path("space.yaml").write_text(SCREEN)
    words = ("screen", "space.yaml", "--model", "mine", "--engine", "local", "--out", "ranked")
    assert activelearn(monkeypatch, *words) == 0
    assert json.loads(Path("ranked/run.json").read_text())["model"]["aligned_with"] == {
        "source": "lab.csv",
        "sha256": hashlib.sha256(Path("lab.csv").read_bytes()).hexdigest(),
        "rows": 8,
        "family": aligned.alignment.family,
    }
    Path("map.yaml").write_text(LANDSCAPE)
    for name in (model, "mine"):
        words = ("landscape", "map.yaml", "--model", name, "--out", f"map-{name}")
        assert activelearn(monkeypatch, *words) == 0
    one, other = (pd.read_csv(f"map-{name}/landscape.csv") for name in (model, "mine"))
    ratio = other["conductivity_mS_cm"] / one["conductivity_mS_cm"]
    assert ratio.between(0.8, 0.99).all()  # it tends back to 1 far from the rows
    between = ratio[one["mole_fraction_1"].eq(0.5) & one["mole_fraction_2"].eq(0.5)]
    np.testing.assert_allclose(between, 0.85, rtol=0.02)


def test_what_the_model_does_not_know_is_named_and_used(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.9, salt="LiTFSI")
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    lines = capsys.readouterr().out.splitlines()
    smiles = "O=S(=O)([N-]S(=O)(=O)C(F)(F)F)C(F)(F)F.[Li+]"
    assert f"The model was not trained on the salt {smiles}." in lines
    rows = ", ".join(str(row) for row in range(2, 10))
    far = next(line for line in lines if line.startswith("Not in the model's domain"))
    assert far.startswith(f"Not in the model's domain, and used all the same: rows {rows}, of ")
    assert "O=C1OCCO1" in far
    assert "COC(=O)OC" in far
    assert load_card(Path("mine")).alignment is not None


def test_a_stray_row_is_named(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 1.0)
    table = pd.read_csv("lab.csv")
    table.loc[4, "kappa"] *= 1e4
    table.to_csv("lab.csv", index=False)
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    said = capsys.readouterr().out
    assert "Set aside, too far from the model for how far the others are: rows 6.\n" in said
    alignment = load_card(Path("mine")).alignment
    assert alignment is not None
    assert alignment.rows_set_aside == (6,)


def test_laboratories_of_the_card_are_what_is_expected(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(model, 0.9)
    path = Path(model, CARD)
    card = load_card(Path(model))
    default = default_laboratories()
    known = {"priors": {}, "papers": 7, "source": "7 papers that the model had not seen"}
    content = json.loads(path.read_text())
    content["laboratories"] = known | {
        "priors": {family: prior.__dict__ for family, prior in default.priors.items()}
    }
    path.write_text(json.dumps(content))
    assert card.laboratories is None
    without_odds = load_card(Path(model)).laboratories
    assert without_odds is not None
    assert without_odds.odds == dict.fromkeys(FAMILIES, 0.25)
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    alignment = load_card(Path("mine")).alignment
    assert alignment is not None
    assert alignment.laboratories == "7 papers that the model had not seen"


def test_an_alignment_from_before_papers_had_odds_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(model, 0.9)
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    path = Path("mine", CARD)
    content = json.loads(path.read_text())
    for candidate in content["alignment"]["candidates"]:
        del candidate["odds"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"alignment\.candidates\.0\.odds: Field required"):
        load_model(Path("mine"))


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    before = sorted(path.name for path in Path().iterdir())
    capsys.readouterr()
    assert activelearn(monkeypatch, "align", *words) == 2
    assert sorted(path.name for path in Path().iterdir()) == before
    return capsys.readouterr().err.splitlines()[-1]


def test_a_single_row_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 1.0, rows=1)
    assert refused(monkeypatch, capsys, model, *ALIGN) == (
        "error: lab.csv: 1 row came; at least 2 are needed, 5 or more are better. Add measurements."
    )


def test_a_second_alignment_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.9)
    assert activelearn(monkeypatch, "align", model, *ALIGN) == 0
    assert refused(monkeypatch, capsys, "mine", *ALIGN[:3], "--out", "again") == (
        "error: mine: the model is aligned with a laboratory already. "
        "Give the model it was made of, and all measurements at once."
    )


def test_a_student_and_a_process_are_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.9)
    student = saved_student(Path("student"))
    assert refused(monkeypatch, capsys, student, *ALIGN) == (
        "error: student: the model stands for an ensemble. Give that ensemble."
    )
    monkeypatch.setattr("campaigns.align.load_model", lambda directory: small_gp("diffmix"))
    assert refused(monkeypatch, capsys, model, *ALIGN) == (
        "error: model: the model is a Gaussian process. Give an ensemble of networks."
    )


def test_a_target_that_is_no_logarithm_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.9)
    other = saved_ensemble(Path("other"))
    assert refused(monkeypatch, capsys, other, *ALIGN) == (
        "error: other: the model predicts y; only a logarithm can be corrected by a factor. "
        "Train a model with a target that begins with log10_."
    )


def test_a_file_without_the_target_is_refused(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.9)
    assert refused(monkeypatch, capsys, model, "lab.csv", "--out", "mine") == (
        f'error: lab.csv: column "{Y}" is missing. Add it or one that converts to it (conductivity_S_cm, '
        "conductivity_mS_cm, log10_conductivity_mS_cm), or map a header to one of them in columns."
    )


def test_nothing_is_overwritten(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(model, 0.9)
    assert refused(monkeypatch, capsys, model, *ALIGN[:3], "--out", model) == (
        f"error: {model}: something stands here already; an empty or new directory was expected. "
        "Give another directory, or move this one away."
    )


def test_the_shipped_molsets_model_can_be_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    measure("molsets-conductivity", 0.8, rows=6)
    table = pd.read_csv("lab.csv").assign(temperature_K=298.15)
    table.to_csv("lab.csv", index=False)
    assert activelearn(monkeypatch, "align", "molsets-conductivity", *ALIGN) == 0
    aligned = load_model(Path("mine"))
    assert isinstance(aligned, AlignedModel)
    assert torch.isfinite(aligned.alignment.rows.points).all()
