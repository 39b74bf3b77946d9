"""Solvents and salts out of cells; the messages for a whole file are read in test_tables.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from surrogates.errors import InputError
from surrogates.mixture_cells import Slot, check_mixtures, read_salts, read_slot
from surrogates.molecules import Component
from surrogates.text_tables import Findings

EC, DMC = Component.of("O=C1OCCO1"), Component.of("COC(=O)OC")


def _column(name: str, *texts: str) -> pd.Series[str]:
    return pd.Series(texts, index=range(2, len(texts) + 2), name=name, dtype=str)


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
    assert slot.fractions.tolist() == [0.3, 0, 1, 0]


def test_the_sum_may_differ_from_1_by_the_tolerance() -> None:
    found = Findings("a.csv")
    sums = [0.9985, 0.9995, 1.0005, 1.0015, np.nan]
    slot = Slot([EC] * 5, np.array(sums))
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
    assert None not in read_salts(_column("salt", text), found)
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
    assert read_salts(_column("salt", text), found) == [None]
    with pytest.raises(InputError) as caught:
        found.stop()
    assert caught.value.problems[0].wrong == f'"{text}" {fault}'
