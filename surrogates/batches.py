"""What an encoder eats: mixtures as tensors of indices into a `MoleculeTable`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surrogates.errors import InputError, Problem


@dataclass(frozen=True)
class MixtureBatch:
    """`n` mixtures of up to `k` solvents and `s` salts.

    Attributes:
        solvents: `n x k`, int64, rows of the molecule table; unused slots hold 0 at weight 0.
        weights: `n x k`, weight fractions of the solvents. Their sum may be below 1: then the
            remainder is not solvent, as in the MolSets data, where it is salt.
        salts: `n x s`, int64, rows of the molecule table; `s` is at least 1. Unused slots hold 0 at molality
            0, and a salt at molality 0 is none; a mixture without salt has molality 0 in all slots.
        molality: `n x s`, mol of each salt per kg of all solvents.
        temperature_K: `n`, K.
    """

    solvents: Tensor
    weights: Tensor
    salts: Tensor
    molality: Tensor
    temperature_K: Tensor

    def __len__(self) -> int:
        return int(self.salts.shape[0])

    def __getitem__(self, rows: Tensor | slice) -> MixtureBatch:
        return MixtureBatch(
            self.solvents[rows],
            self.weights[rows],
            self.salts[rows],
            self.molality[rows],
            self.temperature_K[rows],
        )

    def to(self, dtype: torch.dtype) -> MixtureBatch:
        """Return weights, molality and temperature in another floating-point type."""
        return MixtureBatch(
            self.solvents,
            self.weights.to(dtype),
            self.salts,
            self.molality.to(dtype),
            self.temperature_K.to(dtype),
        )

    def fractions(self) -> Tensor:
        """Return the weight fractions among the solvents, `n x k`; rows sum to 1."""
        return self.weights / self.weights.sum(-1, keepdim=True)

    def salt_shares(self) -> Tensor:
        """Return the mole fractions of the salts among themselves, `n x s`; all 0 where there is no salt."""
        total = self.molality.sum(-1, keepdim=True)
        return self.molality / torch.where(total > 0, total, 1.0)

    def salt_counts(self) -> Tensor:
        """Return how many salts are present in each mixture, `n`, int64."""
        return (self.molality > 0).sum(-1)

    def of_one_salt(self) -> MixtureBatch:
        """Return the mixtures with one slot for salts, for an encoder that takes one salt a mixture.

        Raises:
            InputError: If a mixture holds more than one.
        """
        if self.salts.shape[1] == 1:
            return self
        check_one_salt(self.salt_counts().clamp_min(1))
        return self.packed()

    def packed(self) -> MixtureBatch:
        """Return the same mixtures with their salts in the first slots, and no more slots than are needed."""
        order = (self.molality == 0).to(torch.int8).argsort(dim=-1, stable=True)
        order = order[:, : max(int(self.salt_counts().max()), 1)] if len(self) else order
        molality = self.molality.gather(-1, order)
        salts = self.salts.gather(-1, order).masked_fill(molality == 0, 0)
        return replace(self, salts=salts, molality=molality)

    def to_rows(self) -> Tensor:
        """Return one float64 row a mixture, `n x (2 k + 2 s + 1)`: solvents, weights, salts, molalities, T.

        This is the `X` of the BoTorch model; indices stand in it as floats.
        """
        columns = (self.solvents, self.weights, self.salts, self.molality, self.temperature_K[:, None])
        return torch.cat([column.to(torch.float64) for column in columns], dim=-1)

    @staticmethod
    def from_rows(rows: Tensor, salts: int = 1) -> MixtureBatch:
        """Read rows as written by `to_rows`; gradients pass through all but indices.

        Args:
            rows: `n x (2 k + 2 s + 1)`.
            salts: `s`, which the width alone does not tell.

        Raises:
            ValueError: If the width is none of so many salts, or an index is no whole number.
        """
        k = (rows.shape[-1] - 1) // 2 - salts
        indices = torch.cat([rows[:, :k], rows[:, 2 * k : 2 * k + salts]], dim=-1).detach()
        if (rows.shape[-1] - 1) % 2 or k < 1 or not torch.equal(indices, indices.round().clamp_min(0)):
            raise ValueError(
                f"rows of {rows.shape[-1]} numbers do not hold {salts} salts: 2 k + 2 s + 1 numbers were "
                "expected, whole ones where solvents and salts are named; give the number of salts"
            )
        solvents, weights, salt, molality, temperature_K = rows.split([k, k, salts, salts, 1], dim=-1)
        return MixtureBatch(
            solvents=solvents.detach().round().long(),
            weights=weights,
            salts=salt.detach().round().long(),
            molality=molality,
            temperature_K=temperature_K[:, 0],
        )


@dataclass(frozen=True)
class MixtureProduct:
    """Rows `start:stop` of the row-major product of `m` solvent mixtures with `c` conditions.

    Row `r` is mixture `r // c` under condition `r % c`, which has one salt. What depends on one
    factor only can be computed once per value of that factor.

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

    def salt_counts(self) -> Tensor:
        """Return how many salts are present in each row that is meant, 0 or 1, int64."""
        times = -(-self.stop // max(len(self.salt), 1))
        return (self.molality > 0).long().repeat(times)[self.start : self.stop]

    def expand(self) -> MixtureBatch:
        """Return the rows that are meant one by one: the slow, plain form."""
        return self.take(torch.arange(self.start, self.stop))

    def take(self, rows: Tensor) -> MixtureBatch:
        """Return some rows, `n`, int64, of all of the product, meant or not."""
        mixture, condition = rows // len(self.salt), rows % len(self.salt)
        return MixtureBatch(
            self.solvents[mixture],
            self.weights[mixture],
            self.salt[condition, None],
            self.molality[condition, None],
            self.temperature_K[condition],
        )


def check_one_salt(counts: Tensor) -> None:
    """Check that mixtures can be asked of an encoder that takes one salt a mixture.

    Args:
        counts: `n`, how many salts each holds.

    Raises:
        InputError: If one holds none or several.
    """
    if wrong := none_or_several(counts):
        wrong += "; a model of encoder: molsets takes one salt a mixture"
        mend = "Take a model trained with encoder: diffmix, which takes any number of salts, and none."
        raise InputError(Problem("mixtures", wrong, mend))


def none_or_several(counts: Tensor) -> str:
    """Return how many mixtures hold no salt or more than one, in words; nothing if all hold one."""
    none, several = int((counts == 0).sum()), int((counts > 1).sum())
    if none + several == 0:
        return ""
    return f"of {len(counts)} mixtures {none} hold no salt and {several} more than one"


def concatenate(*batches: MixtureBatch) -> MixtureBatch:
    """Return batches over one molecule table as one; all must have the same number of slots."""
    return MixtureBatch(
        torch.cat([batch.solvents for batch in batches]),
        torch.cat([batch.weights for batch in batches]),
        torch.cat([batch.salts for batch in batches]),
        torch.cat([batch.molality for batch in batches]),
        torch.cat([batch.temperature_K for batch in batches]),
    )
