"""Mixtures as a campaign's file holds them: nothing is lost, and what is one experiment is told."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from campaigns.stored_mixtures import StoredMixture, mixture_batch, stored_mixtures
from surrogates.mixture_data import tabulate
from surrogates.molecules import Component, MoleculeTable
from tests.small_campaigns import DEC, EC, mixture
from tests.synthetic_mixtures import SALTS, SOLVENTS

amounts = st.floats(1e-3, 1)


@given(
    st.lists(
        st.tuples(
            st.lists(amounts, min_size=1, max_size=5),
            st.lists(amounts, max_size=2),
            st.floats(150, 500),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_mixture_comes_back_with_all_digits(rows: list[tuple[list[float], list[float], float]]) -> None:
    table, batch = tabulate(
        [SOLVENTS[: len(solvents)] for solvents, *_ in rows],
        [[share / sum(solvents) for share in solvents] for solvents, *_ in rows],
        [SALTS[: len(salts)] for _, salts, _ in rows],
        [salts for _, salts, _ in rows],
        [kelvin for *_, kelvin in rows],
    )
    stored = stored_mixtures(table, batch)
    read = [StoredMixture.model_validate_json(one.model_dump_json()) for one in stored]
    assert read == stored
    again, there = mixture_batch(read)

    for row, (solvents, salts, kelvin) in enumerate(rows):
        given = dict(zip([one.smiles for one in SOLVENTS], batch.fractions()[row].tolist(), strict=False))
        came = _by_smiles(again, there.solvents[row], there.weights[row])
        assert came == {name: share for name, share in given.items() if share > 0}
        assert len(came) == len(solvents)
        assert _by_smiles(again, there.salts[row], there.molality[row]) == {
            one.smiles: amount for one, amount in zip(SALTS, salts, strict=False)
        }
        assert there.temperature_K[row].item() == kelvin


def _by_smiles(table: MoleculeTable, which: Tensor, amounts: Tensor) -> dict[str, float]:
    names = [table.components[place].smiles for place in which.tolist()]
    return {name: amount for name, amount in zip(names, amounts.tolist(), strict=True) if amount > 0}


def test_slots_that_are_empty_are_left_out() -> None:
    table, batch = tabulate([[SOLVENTS[0], SOLVENTS[1]]], [[0.0, 0.9]], [[SALTS[0]]], [[0.0]], [300.0])
    (stored,) = stored_mixtures(table, batch)

    assert [one.smiles for one in stored.solvents] == [SOLVENTS[1].smiles]
    assert [one.amount for one in stored.solvents] == [1.0]  # of weights below 1, shares
    assert stored.salts == ()
    assert stored.words() == "DMC 1, 300 K"


def test_words() -> None:
    assert mixture(0.3, 1.25).words() == "EC 0.3 + DMC 0.7, 1.25 mol/kg LiPF6, 298.15 K"


def test_what_is_printed_is_the_same_mixture() -> None:
    one = mixture(0.48213, 1.0432)
    assert one.words() == "EC 0.4821 + DMC 0.5179, 1.043 mol/kg LiPF6, 298.15 K"
    assert mixture(0.4821, 1.043).is_same(one)


@pytest.mark.parametrize(
    ("other", "same", "near"),
    [
        (mixture(0.30069), True, True),
        (mixture(0.3, 1.00069, 298.159), True, True),
        (mixture(0.3008), False, True),
        (mixture(0.3, 1.0008), False, True),
        (mixture(0.32, 1.05, 300.15), False, True),
        (mixture(0.3, 1.06), False, False),
        (mixture(0.33), False, False),
        (mixture(0.3, kelvin=300.2), False, False),
        (mixture(0.3, second=DEC), False, False),
        (mixture(0.3, molality=0), False, False),
        (mixture(1.0), False, False),
    ],
)
def test_which_mixtures_are_one(other: StoredMixture, same: bool, near: bool) -> None:
    one = mixture(0.3)
    assert (one.is_same(other), other.is_same(one)) == (same, same)
    assert (one.is_near(other), other.is_near(one)) == (near, near)


def test_the_order_of_components_does_not_matter() -> None:
    one = mixture(0.3)
    assert one.is_same(one.model_copy(update={"solvents": one.solvents[::-1]}))
    assert one.components() == mixture(0.5).components() != mixture(0.5, second=DEC).components()


def test_a_chain_is_known_by_its_mass() -> None:
    unit = Component.of("[Cu]COC[Au]", 1000.0)
    stored = [
        stored_mixtures(*tabulate([[Component(unit.smiles, mass)]], [[1.0]], [[]], [[]], [300.0]))[0]
        for mass in (1000.0, 1000.0001, 2000.0)
    ]
    assert stored[0].is_same(stored[1])
    assert not stored[0].is_near(stored[2])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"solvents": [], "salts": [], "temperature_K": 300}', "at least 1 item"),
        ('{"solvents": [{"smiles": "C1", "molar_mass": 1, "amount": 1}], "salts": [], "temperature_K": 30}',
         "'C1' is not a SMILES that RDKit can read"),
        ('{"solvents": [{"smiles": "CO", "molar_mass": 1, "amount": 0.9}], "salts": [], "temperature_K": 30}',
         "weight fractions sum to 0.9, not to 1"),
        ('{"solvents": [{"smiles": "CO", "molar_mass": 0, "amount": 1}], "salts": [], "temperature_K": 300}',
         "greater than 0"),
        ('{"solvents": [{"smiles": "CO", "molar_mass": 1, "amount": 1}], "salts": [], "temperature_K": -1}',
         "greater than 0"),
        ('{"solvents": [{"smiles": "[He]", "molar_mass": 1, "amount": 1}], "salts": [], "temperature_K": 9}',
         "He, an element without electronegativity"),
    ],
)  # fmt: skip
def test_a_damaged_mixture_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        StoredMixture.model_validate_json(text)


def test_spellings_of_a_molecule_are_one() -> None:
    part = {"smiles": "C1COC(=O)O1", "molar_mass": 88.06, "amount": 1}
    read = StoredMixture.model_validate({"solvents": [part], "salts": [], "temperature_K": 300})
    assert read.solvents[0].smiles == EC
    assert torch.equal(mixture_batch([read])[1].weights, torch.ones(1, 1, dtype=torch.float64))
