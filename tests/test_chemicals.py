"""Names of solvents and salts."""

from __future__ import annotations

import pickle
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogates.chemicals import Chemical, UnknownChemical, chemicals, name_of, resolve
from surrogates.molecules import Component, MoleculeTable, canonical_smiles, parse_smiles

any_chemical = st.sampled_from(chemicals())


def test_no_name_and_no_molecule_stands_twice() -> None:
    names = Counter(
        re.sub("[ _-]", "", name.casefold()) for item in chemicals() for name in (item.name, *item.aliases)
    )
    assert [name for name, count in names.items() if count > 1] == []
    assert len({item.smiles for item in chemicals()}) == len(chemicals())


def test_all_can_stand_in_a_molecule_table() -> None:
    table = MoleculeTable.build(Component.of(item.smiles) for item in chemicals())
    assert len(table) == len(chemicals())


def test_salts_are_ions_of_lithium_and_every_substance_is_neutral() -> None:
    for item in chemicals():
        charges = [
            (atom.GetSymbol(), atom.GetFormalCharge()) for atom in parse_smiles(item.smiles).GetAtoms()
        ]
        assert sum(charge for _, charge in charges) == 0, item.name
        assert (("Li", 1) in charges) == (item.kind == "salt"), item.name


def test_cas_numbers_have_right_check_digits() -> None:
    numbers = [alias for item in chemicals() for alias in item.aliases if re.fullmatch(r"\d+-\d\d-\d", alias)]
    assert len(numbers) > 40
    for number in numbers:
        *digits, check = (int(digit) for digit in number.replace("-", ""))
        assert sum(i * digit for i, digit in enumerate(reversed(digits), 1)) % 10 == check, number


@given(any_chemical, st.data())
def test_every_name_in_any_case_gives_its_molecule_and_the_molecule_its_name(
    item: Chemical, data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from((item.name, *item.aliases)))
    change = data.draw(st.sampled_from((str, str.upper, str.lower, lambda s: f" {s} ")))
    assert resolve(change(text)) == item.smiles
    assert name_of(item.smiles) == item.name


@pytest.mark.parametrize("text", ["2MeTHF", "2-methf", "CC1OCCC1", "C1C(C)OCC1"])
def test_one_molecule_whatever_its_spelling(text: str) -> None:
    assert resolve(text) == resolve("2-MeTHF")


def test_a_known_name_goes_before_a_smiles() -> None:
    assert resolve("PC") == canonical_smiles("CC1COC(=O)O1")


def test_perchlorate_has_one_spelling() -> None:
    spellings = (
        "[Li+].[O-]Cl(=O)(=O)=O",
        "O=Cl(=O)(=O)[O-].[Li+]",
        "[Li+].[O-][Cl+3]([O-])([O-])[O-]",
        "LiClO4",
    )
    assert len({resolve(text) for text in spellings}) == 1


def test_a_molecule_without_a_name_is_shown_by_its_smiles() -> None:
    assert name_of("CCCCCCC") == "CCCCCCC"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownChemical) as caught:
        resolve("LiPF7")
    assert str(caught.value) == '"LiPF7" is neither a known name nor a SMILES that RDKit can read'
    assert caught.value.nearest[0] == "LiPF6"
    assert caught.value.mend().startswith("Did you mean LiPF6 or ")
    assert pickle.loads(pickle.dumps(caught.value)).nearest == caught.value.nearest


def test_a_name_like_no_other_is_refused_with_the_place_of_the_list() -> None:
    with pytest.raises(UnknownChemical) as caught:
        resolve("q?q?q?")
    assert caught.value.mend() == "Give its SMILES; the known names stand in surrogates/chemicals.csv."


@pytest.mark.parametrize("text", ["", " ", "nan"])
def test_an_empty_text_is_no_chemical(text: str) -> None:
    with pytest.raises(UnknownChemical):
        resolve(text)


def test_a_text_of_many_characters_is_neither_read_nor_repeated() -> None:
    with pytest.raises(UnknownChemical) as caught:
        resolve("CO" * 400)
    assert str(caught.value) == '"COCOCOCOCOCOCOCOCOCO...", 800 characters, is too long; at most 500 are read'
    assert caught.value.mend() == (
        "Give a known name, or the SMILES of a smaller molecule or of a repeat unit."
    )
