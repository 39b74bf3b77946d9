"""Constraints over compositions, a range of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from activelearn.chemical_constraints import CompositionVariables
from activelearn.constraints import Constraints, is_met, slack
from surrogates.composition_batches import CompositionBatch


@dataclass(frozen=True)
class CompositionMask:
    """Which compositions miss which of the constraints asked; it pickles.

    Attributes:
        variables: The amounts of a space's elements.
        constraints: Over them.
    """

    variables: CompositionVariables
    constraints: Constraints

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the `v` constraints asked."""
        return tuple(one.name for one in self.constraints.asked)

    def missed(self, batch: CompositionBatch) -> np.ndarray:
        """Return whether each of `n` compositions misses each constraint, `n x v`."""
        return (~is_met(self.constraints.asked, self.slacks(batch))).numpy()

    def slacks(self, batch: CompositionBatch) -> Tensor:
        """Return the room that each constraint leaves each composition, `n x v`, float64."""
        x = self.variables.rows(batch)
        return torch.stack([slack(one, x) for one in self.constraints.asked], dim=-1)
