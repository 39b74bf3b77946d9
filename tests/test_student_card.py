"""The space in a student's card: what another space asks beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from surrogates.molecules import Component
from surrogates.student_card import StandsFor, StudentErrors, TaughtSpace

EC, DMC, PC = (Component.of(smiles) for smiles in ("O=C1OCCO1", "COC(=O)OC", "CC1COC(=O)O1"))
LIPF6, LIBR = Component.of("F[P-](F)(F)(F)(F)F.[Li+]"), Component.of("[Li+].[Br-]")
SPACE = TaughtSpace(
    solvents=(EC, DMC),
    salts=(LIPF6,),
    solvents_per_mixture=(2,),
    fraction_step=None,
    molality_mol_kg=(0.5, 1.0),
    temperature_K=(273.15, 298.15),
)


@pytest.mark.parametrize(
    ("change", "beyond"),
    [
        ({}, []),
        ({"solvents": (DMC,), "molality_mol_kg": (0.7,)}, []),
        ({"solvents": (EC, PC, DMC)}, ["1 of its 3 solvents"]),
        ({"salts": (LIBR,)}, ["1 of its 1 salts"]),
        ({"solvents_per_mixture": (2, 3)}, ["the number of solvents in a mixture", "fractions"]),
        ({"fraction_step": 0.1}, ["fractions"]),
        ({"molality_mol_kg": (0.2, 1.0)}, ["molality"]),
        ({"temperature_K": (298.15, 313.15)}, ["temperature"]),
        ({"salts": (LIPF6, LIBR), "temperature_K": (253.15,)}, ["1 of its 2 salts", "temperature"]),
    ],
)
def test_in_what_a_space_goes_beyond_another(change: dict[str, Any], beyond: list[str]) -> None:
    assert SPACE.beyond(SPACE.model_copy(update=change)) == beyond


@pytest.mark.parametrize(
    ("own", "asked", "beyond"),
    [
        (0.1, None, []),
        (0.1, 0.2, []),
        (0.1, 0.05, ["fractions"]),
        (0.5, 0.05, ["fractions"]),
        (0.5, None, []),
    ],
)
def test_a_step_is_beyond_another_if_it_reaches_smaller_fractions(
    own: float, asked: float | None, beyond: list[str]
) -> None:
    stepped = SPACE.model_copy(update={"fraction_step": own})
    assert stepped.beyond(SPACE.model_copy(update={"fraction_step": asked})) == beyond


@pytest.mark.parametrize(
    ("numbers", "step", "fractions"),
    [
        ((2,), None, (0.5, 0.5)),
        ((2, 3), None, (1 / 3, 0.5)),
        ((1,), 0.1, (1.0, 1.0)),
        ((1, 3), 0.1, (0.1, 0.8)),
    ],
)
def test_the_range_of_fractions(
    numbers: tuple[int, ...], step: float | None, fractions: tuple[float, float]
) -> None:
    space = SPACE.model_copy(update={"solvents_per_mixture": numbers, "fraction_step": step})
    assert space.fractions == pytest.approx(fractions)


def test_the_hash_tells_spaces_apart() -> None:
    others = [
        SPACE.model_copy(update=change)
        for change in ({"solvents": (DMC, EC)}, {"fraction_step": 0.1}, {"temperature_K": (273.15,)})
    ]
    assert len({space.sha256() for space in (SPACE, *others)}) == 4
    assert TaughtSpace.model_validate_json(SPACE.model_dump_json()).sha256() == SPACE.sha256()


def test_what_it_stands_for_comes_back_from_json() -> None:
    told = StandsFor(
        ensemble_sha256="e",
        members=5,
        space=SPACE,
        space_sha256=SPACE.sha256(),
        taught=80,
        seed=3,
        errors=StudentErrors(20, 0.1, 2.0, 1.0, 0.9, 0.8, 0.7),
        rate_ratio=4.0,
    )
    assert StandsFor.model_validate(told.model_dump(mode="json")) == told
    assert told.errors.mean_error == 0.05
