"""Solvents and salts out of cells; the messages for a whole file are read in test_tables.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from surrogates.errors import InputError
from surrogates.mixture_cells import Slot, check_mixtures, read_salt, read_slot
from surrogates.molecules import Component
from surrogates.text_tables import Findings

EC, DMC = Component.of("O=C1OCCO1"), Component.of("COC(=O)OC")


def _salt(text: str, found: Findings, amount: str = "1") -> Slot:
    cells = pd.DataFrame({"salt": [text], "molality_mol_kg": [amount]}, index=[2], dtype=str)
    return read_salt(cells, "salt", "molality_mol_kg", {}, found)


def test_a_slot_holds_component_and_fraction_of_every_row() -> None:
    found = Findings("a.csv")
    cells = pd.DataFrame(
        {
            "solvent_2": ["EC", "", "[Cu]OCC[Au]", "DMC"],
            "weight_fraction_2": ["0.3", "0.0", "1", "0"],
            "molar_mass_2": ["", "", "5000", "90"],
        },
        dtype=str,
    )
    slot = read_slot(cells, 2, "weight_fraction", {}, found)
    found.stop()
    polymer = Component.of("[Cu]OCC[Au]", 5000)
    assert slot.components == [EC, None, polymer, Component(DMC.smiles, 90.0)]
    assert slot.column == "solvent_2"
    assert slot.amounts.tolist() == [0.3, 0, 1, 0]


def test_the_sum_may_differ_from_1_by_the_tolerance() -> None:
    found = Findings("a.csv")
    sums = [0.9985, 0.9995, 1.0005, 1.0015, np.nan]
    slot = Slot("solvent_1", [EC] * 5, np.array(sums))
    check_mixtures([slot], pd.RangeIndex(2, 7), "mole_fraction", found)
    with pytest.raises(InputError) as caught:
        found.stop()
    assert [problem.where for problem in caught.value.problems] == [
        'a.csv, row 2, column "mole_fraction_1"',
        'a.csv, row 5, column "mole_fraction_1"',
    ]


@pytest.mark.parametrize("text", ["LiPF6", "[Li+].[Cl-]", "[Li+].[Li+].[O-]C(=O)C(=O)[O-]", "[Na+].[I-]"])
def test_salts_of_one_kind_of_cation_and_anion_are_read(text: str) -> None:
    found = Findings("a.csv")
    assert _salt(text, found).components != [None]
    found.stop()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[Li]Cl", "is not made of ions"),
        ("[Li+].[Cl-].CO", "is not made of ions"),
        ("[Li+].[Na+].[Cl-].[Cl-]", "is more than one salt"),
        ("[Li+].[Li+].[Cl-]", "has a charge of +1"),
        ("LiPF6, LiBF4", "is neither a known name nor a SMILES that RDKit can read"),
    ],
)
def test_what_is_no_salt_is_refused(text: str, fault: str) -> None:
    found = Findings("a.csv")
    assert _salt(text, found).components == [None]
    with pytest.raises(InputError) as caught:
        found.stop()
    assert caught.value.problems[0].wrong == f'"{text}" {fault}'


@pytest.mark.parametrize("amount", ["", "0", "0.0"])
def test_a_row_may_have_no_salt(amount: str) -> None:
    found = Findings("a.csv")
    slot = _salt("", found, amount)
    found.stop()
    assert [slot.components, slot.amounts.tolist()] == [[None], [0]]


def test_a_salt_of_which_there_is_nothing_is_read() -> None:
    found = Findings("a.csv")
    slot = _salt("LiPF6", found, "0")
    found.stop()
    assert slot.amounts.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "amount", "problem"),
    [
        (
            "LiPF6",
            "",
            "the cell is empty; expected a molality between 0 and 1000 mol/kg. Fill it in.",
        ),
        ("", "0.5", '"0.5" stands here, but the row has no salt. Name the salt or clear the cell.'),
        ("", "x", '"x" stands here, but the row has no salt. Name the salt or clear the cell.'),
    ],
)
def test_a_salt_and_its_molality_come_together(text: str, amount: str, problem: str) -> None:
    found = Findings("a.csv")
    _salt(text, found, amount)
    with pytest.raises(InputError) as caught:
        found.stop()
    assert str(caught.value) == f'a.csv, row 2, column "molality_mol_kg": {problem}'
