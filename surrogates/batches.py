"""What an encoder eats: mixtures as tensors of indices into a `MoleculeTable`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MixtureBatch:
    """`n` mixtures of up to `k` solvents and one salt.

    Attributes:
        solvents: `n x k`, int64, rows of the molecule table; unused slots hold 0 at weight 0.
        weights: `n x k`, weight fractions of the solvents. Their sum may be below 1: then the
            remainder is not solvent, as in the MolSets data, where it is salt.
        salt: `n`, int64, rows of the molecule table.
        molality: `n`, mol salt per kg solvent.
        temperature_K: `n`, K.
    """

    solvents: Tensor
    weights: Tensor
    salt: Tensor
    molality: Tensor
    temperature_K: Tensor

    def __len__(self) -> int:
        return int(self.salt.shape[0])

    def __getitem__(self, rows: Tensor | slice) -> MixtureBatch:
        return MixtureBatch(
            self.solvents[rows],
            self.weights[rows],
            self.salt[rows],
            self.molality[rows],
            self.temperature_K[rows],
        )

    def to(self, dtype: torch.dtype) -> MixtureBatch:
        """Return weights, molality and temperature in another floating-point type."""
        return MixtureBatch(
            self.solvents,
            self.weights.to(dtype),
            self.salt,
            self.molality.to(dtype),
            self.temperature_K.to(dtype),
        )

    def fractions(self) -> Tensor:
        """Return the weight fractions among the solvents, `n x k`; rows sum to 1."""
        return self.weights / self.weights.sum(-1, keepdim=True)

    def to_rows(self) -> Tensor:
        """Return one float64 row a mixture, `n x (2 k + 3)`: solvents, weights, salt, m, T.

        This is the `X` of the BoTorch model; indices stand in it as floats.
        """
        columns = (
            self.solvents,
            self.weights,
            self.salt[:, None],
            self.molality[:, None],
            self.temperature_K[:, None],
        )
        return torch.cat([column.to(torch.float64) for column in columns], dim=-1)

    @staticmethod
    def from_rows(rows: Tensor) -> MixtureBatch:
        """Read `n x (2 k + 3)` rows as written by `to_rows`; gradients pass through all but indices."""
        k = (rows.shape[-1] - 3) // 2
        return MixtureBatch(
            solvents=rows[:, :k].detach().round().long(),
            weights=rows[:, k : 2 * k],
            salt=rows[:, 2 * k].detach().round().long(),
            molality=rows[:, 2 * k + 1],
            temperature_K=rows[:, 2 * k + 2],
        )


@dataclass(frozen=True)
class MixtureProduct:
    """Rows `start:stop` of the row-major product of `m` solvent mixtures with `c` conditions.

    Row `r` is mixture `r // c` under condition `r % c`. What depends on one factor only can be
    computed once per value of that factor.

    Attributes:
        solvents: `m x k`, int64, rows of the molecule table; unused slots hold 0 at weight 0.
        weights: `m x k`, weight fractions of the solvents.
        salt: `c`, int64, rows of the molecule table.
        molality: `c`, mol salt per kg solvent.
        temperature_K: `c`, K.
        start: First row that is meant.
        stop: One past the last row that is meant.
    """

    solvents: Tensor
    weights: Tensor
    salt: Tensor
    molality: Tensor
    temperature_K: Tensor
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def expand(self) -> MixtureBatch:
        """Return the rows that are meant one by one: the slow, plain form."""
        rows = torch.arange(self.start, self.stop)
        mixture, condition = rows // len(self.salt), rows % len(self.salt)
        return MixtureBatch(
            self.solvents[mixture],
            self.weights[mixture],
            self.salt[condition],
            self.molality[condition],
            self.temperature_K[condition],
        )


def concatenate(*batches: MixtureBatch) -> MixtureBatch:
    """Return batches over one molecule table as one; all must have the same number of slots."""
    return MixtureBatch(
        torch.cat([batch.solvents for batch in batches]),
        torch.cat([batch.weights for batch in batches]),
        torch.cat([batch.salt for batch in batches]),
        torch.cat([batch.molality for batch in batches]),
        torch.cat([batch.temperature_K for batch in batches]),
    )
