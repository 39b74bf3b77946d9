"""Mixtures without a salt: which molecules, at which mole fractions, and which of them meet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BlendBatch:
    """`n` mixtures of at most `k` of the `u` molecules of a table.

    Attributes:
        molecules: `n x k`, int64, rows of the table, ascending in each mixture; any row where `x` is 0.
        x: `n x k`, mole fractions, rows sum to 1; 0 in unused slots. No molecule has a fraction twice.
        temperature_K: `n`, K.
        pairs: `2 x p`, int64, the pairs of molecules that meet in a mixture, `pairs[0] < pairs[1]`.
        meeting: `n x k x k`, int64, what two slots hold: `i` for `pairs[:, i]`, `p + i` for the same pair in
            the other order, `2 p` where they hold one molecule.
    """

    molecules: Tensor
    x: Tensor
    temperature_K: Tensor
    pairs: Tensor
    meeting: Tensor

    @staticmethod
    def of(molecules: Tensor, x: Tensor, temperature_K: Tensor) -> BlendBatch:
        """Return mixtures of components in any order, of which some may be the same.

        The order of components is lost, and equal ones become one, so that no function of the batch can
        depend on either. Gradients reach `x` and `temperature_K`.

        Args:
            molecules: `n x k`, int64, rows of the table; any row where `x` is 0.
            x: `n x k`, mole fractions, rows sum to 1.
            temperature_K: `n`, K.
        """
        ordered, order = molecules.sort(dim=1)
        fresh = ordered[:, 1:] != ordered[:, :-1]
        slot = torch.cat([torch.zeros_like(ordered[:, :1]), fresh.long().cumsum(1)], dim=1)
        # A molecule that stands there twice gets its fractions added up in its first slot.
        merged = torch.zeros_like(x).scatter_add(1, slot, x.gather(1, order))
        kept = ordered[:, :1].repeat(1, ordered.shape[1]).scatter(1, slot, ordered)
        pairs, meeting = _meetings(kept)
        return BlendBatch(kept, merged, temperature_K, pairs, meeting)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor | slice) -> BlendBatch:
        return BlendBatch(
            self.molecules[rows], self.x[rows], self.temperature_K[rows], self.pairs, self.meeting[rows]
        )


def _meetings(molecules: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pairs of different molecules that share a row, `2 x p`, and where they do, `n x k x k`."""
    n, k = molecules.shape
    a, b = molecules[:, :, None].expand(n, k, k), molecules[:, None, :].expand(n, k, k)
    u = int(molecules.max()) + 1
    number = torch.minimum(a, b) * u + torch.maximum(a, b)
    known = number[a != b].unique()
    place = torch.searchsorted(known, number.contiguous())
    place = torch.where(a < b, place, place + len(known))
    return torch.stack([known // u, known % u]), place.where(a != b, torch.full_like(place, 2 * len(known)))
