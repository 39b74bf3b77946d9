"""Cathodes as a campaign's file holds them: nothing is lost, and what is one experiment is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from activelearn.composition_spaces import CompositionSpace
from campaigns.candidates import StoredMixture
from campaigns.stored_cathodes import StoredCathode, cathode_batch, stored_cathodes
from surrogates.composition_batches import read_formulas
from tests.small_campaigns import mixture

SPACE = CompositionSpace(
    metals=("Mn2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"),
    metals_per_composition=(2, 3),
    lithium=(1.2, 1.25),
    fluorine=(0.0, 0.2),
    step=0.05,
)


def cathode(formula: str) -> StoredCathode:
    (one,) = stored_cathodes(*read_formulas([formula]))
    return one


@given(st.lists(st.integers(0, len(SPACE) - 1), min_size=1, max_size=6))
def test_a_cathode_comes_back_as_it_was_written(candidates: list[int]) -> None:
    batch = SPACE.at(torch.tensor(candidates))
    stored = stored_cathodes(SPACE.table, batch)
    assert [one.words() for one in stored] == SPACE.describe(candidates)["formula"].tolist()
    read = [StoredCathode.model_validate_json(one.model_dump_json()) for one in stored]
    assert read == stored
    again = stored_cathodes(*cathode_batch(read))
    assert all(one.is_same(other) for one, other in zip(again, stored, strict=True))
    assert [one.words() for one in again] == [one.words() for one in stored]
    assert all(cathode(one.words()).is_same(one) for one in stored)


@pytest.mark.parametrize(
    ("formula", "is_same", "is_near"),
    [
        ("Li1.2Mn0.4Ti0.4O2", True, True),
        ("Ti0.4Li1.2Mn0.4O2", True, True),
        ("Li2.4Mn0.8Ti0.8O4", True, True),
        ("Li1.204Mn0.396Ti0.4O2", True, True),
        ("Li1.21Mn0.39Ti0.4O2", False, True),
        ("Li1.2Mn0.4Ti0.4O1.98F0.02", False, True),
        ("Li1.25Mn0.4Ti0.35O2", False, False),
        ("Li1.2Mn0.4Zr0.4O2", False, False),
        ("Li1.2Mn0.8O2", False, False),
    ],
)
def test_which_cathodes_are_one(formula: str, is_same: bool, is_near: bool) -> None:
    proposed, made = cathode("Li1.2Mn0.4Ti0.4O2"), cathode(formula)
    assert (proposed.is_same(made), proposed.is_near(made)) == (is_same, is_near)
    assert (made.is_same(proposed), made.is_near(proposed)) == (is_same, is_near)


def test_a_mixture_is_no_cathode() -> None:
    assert isinstance(mixture(), StoredMixture)
    assert not cathode("Li1.2Mn0.4Ti0.4O2").is_near(mixture())
    assert not mixture().is_near(cathode("Li1.2Mn0.4Ti0.4O2"))


@pytest.mark.parametrize(
    "plain",
    [
        {"cations": {}, "fluorine": 0.0},
        {"cations": {"Li": -1.0}, "fluorine": 0.0},
        {"cations": {"Li": 1.2, "Xx": 0.8}, "fluorine": 0.0},
        {"cations": {"Li": 1.2}, "fluorine": 2.1},
        {"kind": "mixture", "cations": {"Li": 1.2}, "fluorine": 0.0},
    ],
)
def test_what_is_no_cathode_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StoredCathode.model_validate(plain)
