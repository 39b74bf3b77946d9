"""Cathodes as a campaign's file holds them, and which of them a person would call the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, Field, PositiveFloat, model_validator

from campaigns.config import STRICT
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.errors import InputError

_ROUNDED = 5e-3
"""Amount for two anions up to which two formulas are one, as they are written to two decimals."""
_WEIGHED = 0.03
"""Amount for two anions by which what was made may differ from what was proposed, as an analysis finds it:
not another cathode."""
_SLACK = 1 + 1e-9


class StoredCathode(BaseModel):
    """A composition.

    Attributes:
        kind: That it is one.
        cations: Amount of each for two anions.
        fluorine: Its amount of the two anions; the rest is oxygen.
    """

    model_config = STRICT

    kind: Literal["cathode"] = "cathode"
    cations: Annotated[dict[str, PositiveFloat], Field(min_length=1)]
    fluorine: Annotated[float, Field(ge=0, le=2)]

    @model_validator(mode="after")
    def _is_of_known_elements(self) -> StoredCathode:
        try:
            CompositionTable.of(list(self.cations))
        except InputError as error:
            raise ValueError(error.problems[0].wrong) from None
        return self

    def words(self) -> str:
        """Return the formula."""
        anions = {"O": 2 - self.fluorine, "F": self.fluorine}
        there = {**self.cations, **{name: amount for name, amount in anions.items() if amount > 1e-6}}
        return "".join(f"{name}{_written(amount)}" for name, amount in there.items())

    def components(self) -> frozenset[str]:
        """Return what cathodes share if they hold the same cations."""
        return frozenset(self.cations)

    def is_same(self, other: object) -> bool:
        """Return whether two cathodes differ by no more than the rounding of a formula."""
        return self._is_within(other, _ROUNDED)

    def is_near(self, other: object) -> bool:
        """Return whether one may have been made for the other."""
        return self._is_within(other, _WEIGHED)

    def _is_within(self, other: object, most: float) -> bool:
        if not isinstance(other, StoredCathode) or self.cations.keys() != other.cations.keys():
            return False
        apart = [abs(amount - other.cations[name]) for name, amount in self.cations.items()]
        return max(*apart, abs(self.fluorine - other.fluorine)) <= most * _SLACK


def stored_cathodes(table: CompositionTable, batch: CompositionBatch) -> list[StoredCathode]:
    """Return compositions as a file holds them.

    Args:
        table: The elements.
        batch: `n` compositions.
    """
    rows = zip(
        batch.cations.tolist(),
        (2 * batch.weights.double()).tolist(),
        (2 * batch.fluorine.double()).tolist(),
        strict=True,
    )
    return [
        StoredCathode(
            cations={
                table.elements[one]: round(amount, 6)
                for one, amount in zip(cations, amounts, strict=True)
                if round(amount, 6) > 0
            },
            fluorine=round(fluorine, 6),
        )
        for cations, amounts, fluorine in rows
    ]


def cathode_batch(cathodes: Sequence[StoredCathode]) -> tuple[CompositionTable, CompositionBatch]:
    """Return `n` cathodes, at least one, as tensors of indices into the table of their cations, float32."""
    table = CompositionTable.of(sorted({element for one in cathodes for element in one.cations}))
    width = max(len(one.cations) for one in cathodes)
    cations = torch.zeros(len(cathodes), width, dtype=torch.int64)
    amounts = torch.zeros(len(cathodes), width)
    for row, one in enumerate(cathodes):
        for slot, (element, amount) in enumerate(one.cations.items()):
            cations[row, slot], amounts[row, slot] = table.elements.index(element), amount
    fluorine = torch.tensor([one.fluorine for one in cathodes])
    return table, CompositionBatch.from_amounts(cations, amounts, fluorine)


def _written(amount: float) -> str:
    """Return an amount as a formula has it; one is not written."""
    text = f"{amount:.6g}"
    return "" if text == "1" else text
