"""Formulas and tensors to what the cathodes' encoder eats."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions, read_formulas
from surrogates.errors import InputError

HE_1 = "Li1.2Mn0.1Mg0.1Cr0.3Ti0.2Nb0.1O1.8F0.2"


def test_a_formula_worked_by_hand() -> None:
    table, batch = read_formulas(["Li1.2Mn0.4Ti0.4O2", "LiTiO1.5F0.5"])
    assert table.elements == ("Li", "Mn", "Ti")
    assert batch.cations.tolist() == [[0, 1, 2], [0, 2, 0]]
    torch.testing.assert_close(batch.weights, torch.tensor([[0.6, 0.2, 0.2], [0.5, 0.5, 0.0]]))
    torch.testing.assert_close(batch.fluorine, torch.tensor([0.0, 0.25]))


@given(st.floats(0.1, 10))
def test_anions_are_scaled_to_two(factor: float) -> None:
    amounts = {"Li": 1.2, "Mn": 0.8, "O": 1.8, "F": 0.2}
    scaled = "".join(f"{element}{factor * amount:.9f}" for element, amount in amounts.items())
    _, batch = read_formulas(["Li1.2Mn0.8O1.8F0.2", scaled])
    torch.testing.assert_close(batch.weights[0], batch.weights[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(batch.fluorine[0], batch.fluorine[1], rtol=1e-5, atol=1e-6)


def test_amounts_and_formulas_are_the_same_batch() -> None:
    table, read = read_formulas([HE_1, "Li1.2Mn0.8O2"])
    amounts = torch.tensor([[1.2, 0.1, 0.1, 0.3, 0.2, 0.1], [1.2, 0.8, 0.0, 0.0, 0.0, 0.0]])
    rows = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 5, 5, 5, 5]])
    batch = CompositionBatch.from_amounts(rows, amounts, torch.tensor([0.2, 0.0]))
    assert table.elements == ("Li", "Mn", "Mg", "Cr", "Ti", "Nb")
    assert torch.equal(batch.cations, read.cations)  # a slot without amount points to row 0
    torch.testing.assert_close(batch.weights, read.weights)
    torch.testing.assert_close(batch.fluorine, read.fluorine)


def test_rows_of_a_batch() -> None:
    _, batch = read_formulas(["LiMnO2", "LiTiO2", "LiVO1.5F0.5"])
    assert [len(batch), len(batch[1:]), len(batch[torch.tensor([2])])] == [3, 2, 1]
    assert batch[torch.tensor([2, 0])].fluorine.tolist() == [0.25, 0.0]


def test_rows_and_windows_of_conditions() -> None:
    conditions = Conditions.of([20, 1000], [1, 30], [1.5, 2.0], [4.8, 4.4])
    torch.testing.assert_close(conditions.window(), torch.tensor([[1.5, 4.8], [2.0, 4.4]]))
    assert len(conditions) == 2
    assert conditions[1:].rate_mA_g.tolist() == [1000.0]
    assert conditions[1:].cycle.tolist() == [30.0]


def test_embeddings_are_those_of_matscholar() -> None:
    table = CompositionTable.of(["Li", "F", "H", "Lr"])
    assert table.embeddings.shape == (4, 200)
    # The first numbers of lithium as the package prints them.
    first = torch.tensor([0.016524001955986023, 0.04012970253825188, -0.012722000479698181])
    assert torch.equal(table.embeddings[0, :3], first)
    assert torch.equal(table.embeddings[1], table.fluorine)


def test_an_element_without_embedding_is_refused() -> None:
    with pytest.raises(InputError) as error:
        CompositionTable.of(["Li", "Rf"])
    assert str(error.value) == (
        "elements: Rf has no embedding; the elements from H to Lr have one. Leave it out."
    )


def test_every_bad_formula_is_named() -> None:
    with pytest.raises(InputError) as error:
        read_formulas(["LiMnO2", "Li2Xy", "LiMn", "O2", "LiRfO2"], where="cathodes.csv, column formula")
    assert str(error.value).splitlines() == [
        'cathodes.csv, column formula: "Li2Xy" is no formula: "Xy" is no element. '
        "Write it as Li1.2Mn0.4Ti0.4O2.",
        'cathodes.csv, column formula: "LiMn" holds neither O nor F. Give its anions.',
        'cathodes.csv, column formula: "O2" holds no cation. Give its cations.',
        "cathodes.csv, column formula: Rf has no embedding; the elements from H to Lr have one. "
        "Leave it out.",
    ]
