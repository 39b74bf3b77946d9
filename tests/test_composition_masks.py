"""The mask of a space of compositions against its formulas, read one by one."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn.chemical_constraints import (
    CompositionVariables,
    at_least,
    at_most,
    oxidation_states,
    ratio,
)
from activelearn.composition_masks import CompositionMask
from activelearn.constraints import AtMost, Constraints, FromFunction, LeastIfPresent
from surrogates.compositions import parse_formula
from tests.synthetic_cathodes import SPACE

MANGANESE = (2.25, 2.5)
"""The charges that the mask leaves it; the space gives it 2 to 3, chromium and vanadium 3."""


def curved(x: Mapping[str, Tensor]) -> Tensor:
    return x["Mn"] - x["Cr"] * x["O"]


def curved_in_words(amounts: Mapping[str, float]) -> float:
    return amounts.get("Mn", 0.0) - amounts.get("Cr", 0.0) * amounts["O"]


@cache
def small() -> CompositionMask:
    variables = CompositionVariables(SPACE.table.elements)
    metals = tuple(variables.column(metal) for metal in variables.metals)
    asked = (
        at_least("F at least 0.1", variables, {"F": 1.0}, 0.1),
        at_most("Mn and twice V", variables, {"Mn": 1.0, "V": 2.0}, 0.5),
        ratio("Cr is Mn", variables, "Cr", "Mn", 1.0),
        AtMost("at most 3", metals, 3),
        LeastIfPresent("0.1 if any", metals, 0.1),
        *oxidation_states(variables, SPACE.charges, {"Mn": MANGANESE}),
        FromFunction(f"{__name__}:curved", variables.names),
    )
    domain = variables.domain((1.2, 1.2), (0.0, 0.2), SPACE.charges)
    return CompositionMask(variables, Constraints(variables.names, domain, asked))


def missed_in_words(formula: str) -> list[bool]:
    amounts = parse_formula(formula)
    metals = {element: n for element, n in amounts.items() if element not in ("Li", "O", "F")}
    charges: dict[str, tuple[float, float]] = {**SPACE.charges, "Mn": MANGANESE}
    low, high = (
        amounts["Li"] + sum(n * charges[metal][end] for metal, n in metals.items()) for end in (0, 1)
    )
    anions = 2 * amounts["O"] + amounts.get("F", 0.0)
    return [
        amounts.get("F", 0.0) < 0.1 - 1e-6,
        metals.get("Mn", 0.0) + 2 * metals.get("V", 0.0) > 0.5 + 1e-6,
        abs(metals.get("Mn", 0.0) - metals.get("Cr", 0.0)) > 1e-6,
        len(metals) > 3,
        min(metals.values()) < 0.1 - 1e-6,
        low > anions + 1e-6,
        high < anions - 1e-6,
        curved_in_words(amounts) < -1e-6,
    ]


@given(st.data())
def test_a_range_is_its_formulas_one_by_one(data: st.DataObject) -> None:
    mask = small()
    start = data.draw(st.integers(0, len(SPACE)))
    stop = data.draw(st.integers(start, min(start + 100, len(SPACE))))
    said = mask.missed(SPACE[start:stop])
    expected = [missed_in_words(formula) for formula in SPACE.describe(range(start, stop))["formula"]]
    assert said.tolist() == expected


def test_every_kind_leaves_some_and_takes_some() -> None:
    missed = small().missed(SPACE[0 : len(SPACE)])
    assert (missed.any(0) & ~missed.all(0)).all()


def test_room_is_that_of_the_amounts_of_the_formula() -> None:
    candidates = torch.tensor([2130, 5, 700])
    said = small().slacks(SPACE.at(candidates))
    for row, formula in zip(said, SPACE.describe(candidates.numpy())["formula"], strict=True):
        amounts = parse_formula(formula)
        mn, cr, v = (amounts.get(metal, 0.0) for metal in ("Mn", "Cr", "V"))
        expected = [amounts.get("F", 0.0) - 0.1, 0.5 - mn - 2 * v, -abs(cr - mn)]
        assert row[:3].tolist() == pytest.approx(expected, abs=1e-6)
        assert float(row[-1]) == pytest.approx(curved_in_words(amounts), abs=1e-6)


def test_a_mask_pickles() -> None:
    other = pickle.loads(pickle.dumps(small()))
    assert np.array_equal(other.missed(SPACE[10:200]), small().missed(SPACE[10:200]))
