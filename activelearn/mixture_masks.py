"""Constraints over a product of mixtures and conditions; what depends on one factor is computed once each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables
from activelearn.constraints import Constraint, Constraints, Linear, is_met, slack
from activelearn.spaces import MixtureSpace
from surrogates.batches import MixtureBatch, MixtureProduct


@dataclass(frozen=True)
class MixtureMask:
    """Which candidates of a space miss which of the constraints asked; it pickles.

    Attributes:
        space: The candidates.
        constraints: Over the amounts of `MixtureVariables` of its solvents and salts.
    """

    space: MixtureSpace
    constraints: Constraints

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the `v` constraints asked."""
        return tuple(one.name for one in self.constraints.asked)

    def missed(self, product: MixtureProduct) -> np.ndarray:
        """Return whether each candidate of a range of the space misses each constraint, `n x v`."""
        return (~is_met(self.constraints.asked, self.slacks(product))).numpy()

    def slacks(self, product: MixtureProduct) -> Tensor:
        """Return the room that each constraint leaves each candidate, `n x v`, float64."""
        m, c = len(product.weights), len(product.salt)
        none = torch.zeros(m, dtype=torch.int64)
        nothing = none[:, None]
        mixtures = MixtureBatch(product.solvents, product.weights, nothing, nothing, none)
        void = torch.zeros(c, 1, dtype=torch.int64)
        salts, molality = product.salt[:, None], product.molality[:, None]
        conditions = MixtureBatch(void, void, salts, molality, product.temperature_K)
        x, y = self._amounts(mixtures), self._amounts(conditions)
        columns = [self._slack(one, x, y) for one in self.constraints.asked]
        return torch.stack([column.flatten()[product.start : product.stop] for column in columns], dim=-1)

    def _slack(self, one: Constraint, x: Tensor, y: Tensor) -> Tensor:
        """Return the room in mixtures (`m x d`) under conditions (`c x d`), `m x c`.

        Each holds 0 where the other has its amounts.
        """
        k, shape = len(self.space.solvents), (len(x), len(y))
        if all(column < k for column in one.columns):
            return slack(one, x)[:, None].expand(shape)
        if all(column >= k for column in one.columns):
            return slack(one, y).expand(shape)
        if isinstance(one, Linear):
            residual = one.residual(x)[:, None] + one.residual(y) + one.rhs
            return -residual.abs() if one.is_equality else residual
        return slack(one, (x[:, None] + y).flatten(0, 1)).view(shape)

    def _amounts(self, batch: MixtureBatch) -> Tensor:
        solvents, salts = self._places
        return self._variables.scatter(batch, solvents, salts)

    @cached_property
    def _variables(self) -> MixtureVariables:
        return MixtureVariables(self.space.solvents, self.space.salts)

    @cached_property
    def _places(self) -> tuple[Tensor, Tensor]:
        return self._variables.places(self.space.table)
