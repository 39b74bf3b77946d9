"""`activelearn propose` from measurements to a file that can be measured, and read again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from campaigns.cli import app
from surrogates.errors import InputError
from surrogates.tables import read_mixtures
from tests.saved_models import saved_ensemble, saved_law_model, saved_student

JOB = """\
model: {model}
space:
  solvents: [EC, DMC, DEC]
  salts: [LiPF6, LiBF4]
  solvents_per_mixture: [2]
  fraction_step: 0.1
  molality_mol_kg: [0.5, 1.0, 1.5]
constraints:
  bounds: {{EC: {{at_least: 0.2}}}}
  solubility: {{use: constraint}}
batch_g: 20
"""
MEASURED = """\
solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K,conductivity_mS_cm
EC,0.3,DMC,0.7,LiPF6,1.0,298.15,10.0
EC,0.5,DMC,0.5,LiPF6,1.0,298.15,11.0
EC,0.3,DEC,0.7,LiPF6,1.5,298.15,6.5
EC,0.4,DEC,0.6,LiBF4,0.5,298.15,4.0
DMC,0.4,DEC,0.6,LiBF4,0.5,298.15,3.0
EC,0.8,DEC,0.2,LiPF6,0.5,298.15,7.0
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(JOB.format(model=saved_law_model(tmp_path / "model")))
    (tmp_path / "measured.csv").write_text(MEASURED)
    return path


def _propose(job: Path, *more: str) -> tuple[int, str]:
    said = CliRunner().invoke(app, ["propose", str(job), *more])
    if isinstance(said.exception, InputError):
        return 2, str(said.exception)
    assert said.exception is None or isinstance(said.exception, SystemExit), said.exception
    return said.exit_code, said.output


def test_proposals_in_people_s_words(job: Path) -> None:
    out = job.with_name("next.csv")
    code, said = _propose(job, "--data", str(job.with_name("measured.csv")), "-q", "4", "-o", str(out))
    assert code == 0, said
    assert f"The proposals: {out}" in said.replace("\n", "")
    table = pd.read_csv(out)
    name = "log10_conductivity_S_cm"
    assert list(table) == [
        "proposal",
        *("solvent_1", "weight_fraction_1", "solvent_2", "weight_fraction_2"),
        *("salt", "molality_mol_kg", "temperature_K"),
        *(column for column in table if column.endswith("_g")),
        *(
            f"{name}_{part}"
            for part in ("mean", "std", "std_epistemic", "std_aleatoric", "lower_90", "upper_90")
        ),
        *("in_domain", "acquisition", "acquisition_value", "why", "feasible", "slack EC at least 0.2"),
        *("salt_limit_mol_kg", "slack_salt_mol_kg", "salt_limit_source", "flags"),
    ]
    assert table["proposal"].tolist() == [1, 2, 3, 4]
    assert (table["weight_fraction_1"] + table["weight_fraction_2"]).tolist() == pytest.approx([1] * 4)
    assert table.filter(like="_g").drop(columns="molality_mol_kg", errors="ignore").filter(regex="_g$").sum(
        axis=1
    ).tolist() == pytest.approx([20] * 4, abs=1e-3)
    assert (table["slack EC at least 0.2"] >= -1e-6).all()
    assert (table["slack_salt_mol_kg"] >= -1e-6).all()
    assert table["feasible"].all()
    assert table["why"].str.contains("expected improvement").all()
    assert table["salt_limit_source"].str.contains("solvents a Li").all()


def test_what_was_proposed_can_be_measured_and_read_again(job: Path) -> None:
    first, second = job.with_name("first.csv"), job.with_name("second.csv")
    data = str(job.with_name("measured.csv"))
    assert _propose(job, "--data", data, "-q", "2", "-o", str(first))[0] == 0
    measured = pd.read_csv(first).assign(conductivity_mS_cm=[9.0, 8.0])
    both = job.with_name("both.csv")
    pd.concat([pd.read_csv(data), measured]).to_csv(both, index=False)
    assert len(read_mixtures(both, "log10_conductivity_S_cm")) == 8
    code, said = _propose(job, "--data", str(both), "--pending", str(first), "-q", "2", "-o", str(second))
    assert code == 0, said
    words = ["solvent_1", "weight_fraction_1", "salt", "molality_mol_kg"]
    assert not set(map(tuple, pd.read_csv(second)[words].round(4).to_numpy().tolist())) & set(
        map(tuple, pd.read_csv(first)[words].round(4).to_numpy().tolist())
    )


def test_the_same_again_and_before_the_first_measurement(job: Path) -> None:
    files = [job.with_name(f"{name}.csv") for name in ("a", "b")]
    for file in files:
        assert _propose(job, "-q", "3", "-o", str(file))[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_mole_fractions(job: Path) -> None:
    job.write_text(job.read_text() + "fractions: mole\nhow: pool\n")
    out = job.with_name("next.csv")
    assert _propose(job, "-q", "2", "-o", str(out))[0] == 0
    row = pd.read_csv(out).iloc[0]
    masses = {"EC": 88.06, "DMC": 90.08, "DEC": 118.13}
    grams = {name: row[f"{name}_g"] / masses[name] for name in masses if row.get(f"{name}_g")}
    shares = {row["solvent_1"]: row["mole_fraction_1"], row["solvent_2"]: row["mole_fraction_2"]}
    for name, share in shares.items():
        assert share == pytest.approx(grams[name] / sum(grams.values()), rel=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("EC: {at_least: 0.2}", "EC: {at_least: 0.9}, DMC: {at_least: 0.3}"),
            '"EC at least 0.9" and "DMC at least 0.3" exclude each other',
        ),
        (("EC: {at_least: 0.2}", "EC: {at_least: 0.95}"), "none of the 162 candidates fulfils all"),
    ],
)
def test_impossible_constraints_write_nothing(job: Path, change: tuple[str, str], message: str) -> None:
    job.write_text(job.read_text().replace(*change))
    before = sorted(job.parent.iterdir())
    code, said = _propose(job, "-q", "2", "-o", str(job.with_name("next.csv")))
    assert code == 2
    assert message in said
    assert sorted(job.parent.iterdir()) == before


def test_bad_input_writes_nothing(job: Path) -> None:
    data, out = job.with_name("measured.csv"), job.with_name("next.csv")
    data.write_text(MEASURED.replace("0.5,DMC,0.5", "0.6,DMC,0.5"))
    code, said = _propose(job, "--data", str(data), "-o", str(out))
    assert code == 2
    assert "measured.csv, row 3" in said
    assert _propose(job, "-q", "200", "-o", str(out)) == (
        2,
        "space: 96 candidates are left that fulfil all and were not measured; 200 were asked for. Ask for "
        "fewer, widen the space or loosen a constraint.",
    )
    assert not out.exists()
    out.write_text("mine")
    assert "something stands here already" in _propose(job, "-o", str(out))[1]
    assert out.read_text() == "mine"


def test_a_model_that_cannot_learn_is_told(job: Path, tmp_path: Path) -> None:
    job.write_text(JOB.format(model=saved_student(tmp_path / "student")))
    data, out = str(job.with_name("measured.csv")), str(job.with_name("next.csv"))
    code, said = _propose(job, "--data", data, "-o", out)
    assert code == 2
    assert "a student came; it learns nothing from measurements" in said
    job.write_text(job.read_text() + "learns: nothing\nhow: pool\n")
    code, said = _propose(job, "--data", data, "-q", "2", "-o", out)
    assert code == 0, said


def test_a_model_of_one_salt_needs_one(job: Path, tmp_path: Path) -> None:
    text = JOB.format(model=saved_ensemble(tmp_path / "molsets")).replace("[0.5, 1.0, 1.5]", "[0, 1.0]")
    job.write_text(text)
    code, said = _propose(job, "-o", str(job.with_name("next.csv")))
    assert code == 2
    assert "0 is a mixture without salt; a model of encoder: molsets takes one salt a mixture" in said


def test_the_directory_of_the_proposals_is_made(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = _propose(job, "-q", "1")
    assert code == 0, said
    assert len(pd.read_csv(tmp_path / "results" / "mine-next.csv")) == 1


def test_pending_proposals_are_in_our_units_whatever_the_measurements_are_in(job: Path) -> None:
    job.write_text(job.read_text() + "how: pool\ngoal: top\nlearns: nothing\n")
    data, first, second = (job.with_name(f"{name}.csv") for name in ("measured", "first", "second"))
    data.write_text(MEASURED.replace("temperature_K", "T").replace("298.15", "25"))
    given = ["--data", str(data), "--column", "temperature_K=T", "--unit", "temperature_K=degC", "-q", "4"]
    assert _propose(job, *given, "-o", str(first))[0] == 0
    code, said = _propose(job, *given, "--pending", str(first), "-o", str(second))
    assert code == 0, said
    words = ["solvent_1", "solvent_2", "weight_fraction_1", "salt", "molality_mol_kg"]
    proposed = [set(map(tuple, pd.read_csv(file)[words].to_numpy().tolist())) for file in (first, second)]
    assert not proposed[0] & proposed[1]
