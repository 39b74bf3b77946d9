"""Numbering the ways to share sites among metals so that their charges can balance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_MOST_NUMBERS = 2**25
"""Kept in the tables, 256 MiB."""


@dataclass(frozen=True)
class BalancedAmounts:
    """Of each set of metals, the whole amounts `a` of at least 1 that fill the sites and can balance.

    Amounts fill the sites if they sum to them. They can balance if the charge asked of them lies between
    `sum(low * a)` and `sum(high * a)`. Amounts of a set are numbered in lexicographic order.

    All counting rests on `W(sites, charge)`, the number of amounts of some metals that sum to the sites and
    carry at most the charge, each metal having one charge: with the low charges it counts the amounts whose
    lower sum is not too large; less those whose upper sum is too small, which `W` of the high charges counts
    at one charge less. And since amounts above `n` are amounts above 0 with `n` taken off, one table answers
    for every first amount.

    Attributes:
        low: `s x k`, int64, lowest charge of each metal of each set; 0 in unused slots, which come last.
        high: `s x k`, highest charge likewise.
        low_table: `s x (k + 1)`, which table counts the metals from a slot on at their low charges.
        high_table: `s x (k + 1)`, at their high charges.
        tables: `t x (sites + 1) x (charge + 2)`; in the last dimension charges count from -1.
    """

    low: Tensor
    high: Tensor
    low_table: Tensor
    high_table: Tensor
    tables: Tensor

    @staticmethod
    def of(low: np.ndarray, high: np.ndarray, sites: int, charge: int) -> BalancedAmounts:
        """Return the numbering for some sets, up to so many sites and so much charge.

        Raises:
            ValueError: If its tables would be too large.
        """
        sets, slots = low.shape
        charges = np.concatenate([low, high])
        # A table depends on how many metals have each charge: a number with a digit for each charge.
        digits = np.where(charges > 0, np.power(slots + 1, np.maximum(charges - 1, 0), dtype=np.int64), 0)
        codes = np.zeros((2 * sets, slots + 1), dtype=np.int64)
        codes[:, :-1] = digits[:, ::-1].cumsum(1)[:, ::-1]
        distinct, first = np.unique(codes[:, :-1], return_index=True)
        distinct, first = distinct[distinct > 0], first[distinct > 0]
        size = (len(distinct) + 1) * (sites + 1) * (charge + 2)
        if size > _MOST_NUMBERS:
            raise ValueError(
                f"the step is too fine for so many charges: {size} numbers would be kept, at most "
                f"{_MOST_NUMBERS} can be; take a coarser step or metals of fewer charges"
            )
        tables = np.zeros((len(distinct) + 1, sites + 1, charge + 2), dtype=np.int64)
        tables[0, 0, 1:] = 1  # no metal: nothing fills no sites, at any charge from 0
        row = {0: 0} | {int(code): index for index, code in enumerate(distinct, 1)}
        for index, place in enumerate(first, 1):  # in ascending order, so that what one builds on is there
            at, slot = divmod(int(place), slots)
            _fill(tables[index], tables[row[int(codes[at, slot + 1])]], int(charges[at, slot]))
        which = torch.from_numpy(np.searchsorted(np.concatenate([[0], distinct]), codes))
        return BalancedAmounts(
            torch.from_numpy(low),
            torch.from_numpy(high),
            which[:sets],
            which[sets:],
            torch.from_numpy(tables),
        )

    def count(self, sets: Tensor, sites: Tensor, charge: Tensor) -> Tensor:
        """Return how many amounts there are of each set for each number of sites and charge, `n`."""
        return self._ways(sets, 0, sites, charge, charge)

    def decode(self, sets: Tensor, rank: Tensor, sites: Tensor, charge: Tensor) -> Tensor:
        """Return the amounts at lexicographic ranks, `n x k`, int64, 0 in unused slots.

        Args:
            sets: `n`, rows of the sets.
            rank: `n`, each below its `count`.
            sites: `n`.
            charge: `n`.
        """
        slots = self.low.shape[1]
        amounts = torch.zeros(len(sets), slots, dtype=torch.int64)
        left = self.count(sets, sites, charge) - 1 - rank  # how many come after
        to_low, to_high = charge, charge
        for slot in range(slots):
            low, high = self.low[sets, slot], self.high[sets, slot]
            # The amount is the first above which no more lie than come after; found by bisection. An unused
            # slot has no sites left, and stays at 0.
            under, amount = torch.zeros_like(sites), sites
            above = torch.zeros_like(sites)
            for _ in range(self.tables.shape[1].bit_length()):
                middle = (under + amount) // 2
                over = self._ways(sets, slot, sites - middle, to_low - low * middle, to_high - high * middle)
                fits = over <= left
                amount, above = middle.where(fits, amount), over.where(fits, above)
                under = under.where(fits, middle)
            amounts[:, slot] = amount
            left, sites = left - above, sites - amount
            to_low, to_high = to_low - low * amount, to_high - high * amount
        return amounts

    def _ways(self, sets: Tensor, slot: int, sites: Tensor, to_low: Tensor, to_high: Tensor) -> Tensor:
        """Return the number of amounts of the metals from a slot on, `n`.

        `to_low` and `to_high` are what is left of the charge after the metals before the slot took their
        low and their high charges.
        """
        _, rows, columns = self.tables.shape
        flat = self.tables.view(-1)
        low = (self.low_table[sets, slot] * rows + sites) * columns
        high = (self.high_table[sets, slot] * rows + sites) * columns
        return flat[low + (to_low + 1).clamp(min=0)] - flat[high + to_high.clamp(min=0)]


def _fill(table: np.ndarray, rest: np.ndarray, charge: int) -> None:
    """Fill the table of some metals from that of all but one, which has this charge.

    One metal more takes one site and its charge, and then either no more or some more of the same.
    """
    columns = table.shape[1]
    for sites in range(1, len(table)):
        taken = rest[sites - 1] + table[sites - 1]
        table[sites, 1 + charge :] = taken[1 : max(columns - charge, 1)]
