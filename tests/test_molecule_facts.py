"""Facts of solvents and anions: as the reference has them, standardised, and 0 of what is unknown."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch

from surrogates.molecule_facts import WIDTH, anion_facts, solvent_facts, species_facts
from surrogates.molecules import Component, MoleculeTable

EC, TFP, NEW = (Component.of(s) for s in ("O=C1OCCO1", "O=P(OCC(F)(F)F)(OCC(F)(F)F)OCC(F)(F)F", "CCCCO"))
LITHIUM, PF6, NEW_ANION = (Component.of(s) for s in ("[Li+]", "F[P-](F)(F)(F)(F)F", "[Br-]"))


def test_facts_are_those_of_the_reference(reference_dir: Path) -> None:
    with (reference_dir / "solvents.csv").open(encoding="utf-8") as lines:
        reference = {Component.of(row["smiles"]).smiles: row for row in csv.DictReader(lines)}
    assert reference.keys() == solvent_facts().keys()
    for smiles, facts in solvent_facts().items():
        row = reference[smiles]
        assert facts.molar_volume_cm3_mol == pytest.approx(
            float(row["M_g_mol"]) / float(row["rho25_g_mL"]), 1e-3
        )
        assert math.exp(facts.log_viscosity()) == pytest.approx(float(row["eta25_mPas"]), rel=5e-3)
        assert facts.permittivity == float(row["eps25"])
        assert facts.donor_number == float(row["donor_number"])
        assert math.isnan(facts.melting_point_K) == (row["Tm_K"] == "")
        assert facts.fusion_enthalpy_J_mol == pytest.approx(float(row["dHfus_J_mol"] or "nan"), nan_ok=True)
        assert facts.melting_point_K == pytest.approx(float(row["Tm_K"] or "nan"), nan_ok=True)
    with (reference_dir / "salts.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            anion = Component.of(max(row["smiles"].split("."), key=len)).smiles
            assert anion_facts()[anion].radius_A == float(row["anion_radius_A"])
            assert anion_facts()[anion].walden_S_cm2_mPa_s_mol == float(row["walden_LT_PC_Scm2_mPas"])


def test_known_facts_have_mean_0_and_standard_deviation_1() -> None:
    solvents = species_facts(MoleculeTable.build(Component.of(smiles) for smiles in solvent_facts()))[:, :7]
    anions = species_facts(MoleculeTable.build(Component.of(smiles) for smiles in anion_facts()))[:, 7:9]
    for columns in (solvents[:, :6], anions):
        assert torch.allclose(columns.mean(0), torch.zeros(columns.shape[1]), atol=1e-6)
        assert torch.allclose(columns.std(0, correction=0), torch.ones(columns.shape[1]), atol=1e-5)
    melting = solvents[:, 6][solvents[:, 6] != 0]
    assert len(melting) == len(solvents) - 2
    assert float(melting.mean()) == pytest.approx(0, abs=1e-6)


def test_a_species_has_facts_of_its_kind_only() -> None:
    table = MoleculeTable.build([EC, TFP, NEW, LITHIUM, PF6, NEW_ANION])
    facts = dict(zip([component.smiles for component in table.components], species_facts(table), strict=True))
    assert all(row.shape == (WIDTH,) for row in facts.values())
    assert facts[EC.smiles][:7].abs().min() > 0
    assert facts[EC.smiles][7:].tolist() == [0.0] * 5
    assert facts[TFP.smiles][6] == 0  # nobody says where it melts
    assert facts[PF6.smiles][:7].tolist() == [0.0] * 7
    assert facts[PF6.smiles][9:].tolist() == [1.0, 0.0, 0.0]
    for unknown, flags in ((LITHIUM, [0.0, 1.0, 0.0]), (NEW, [0.0, 0.0, 1.0]), (NEW_ANION, [0.0, 0.0, 1.0])):
        assert facts[unknown.smiles].tolist() == [0.0] * 9 + flags


def test_every_figure_has_a_source() -> None:
    folder = Path(__file__).parent.parent / "surrogates"
    for name in ("solvent_facts.csv", "anion_facts.csv"):
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
        sources = [column for column in rows[0] if column.endswith("source")]
        assert rows and sources
        assert all(row[column] for row in rows for column in sources)
