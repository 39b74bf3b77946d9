"""A space of electrolytes: every candidate is an integer, and none is stored."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.molecules import Component, MoleculeTable, lookup

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MixtureSpace:
    """Every solvent mixture with every salt, molality and temperature.

    Candidate `i` is solvent mixture `i // c` under condition `i % c`. Mixtures run over sizes as given,
    within a size over subsets in lexicographic order, within a subset over weight fractions in
    lexicographic order. The `c` conditions run over salts, then molalities, then temperatures, the last
    fastest.

    Attributes:
        solvents: Components by the names they are shown under, in the order of the space.
        salts: Likewise.
        solvents_per_mixture: Numbers of solvents in a mixture, each once.
        fraction_step: Weight fractions among the solvents are the multiples of this step that are at
            least one step and sum to 1; its inverse is a whole number. None: equal fractions only.
        molality_mol_kg: mol salt per kg solvent.
        temperature_K: K.

    Raises:
        ValueError: If a factor is empty or repeats a value, a mixture asks for more solvents than there
            are, the step does not divide 1 finely enough, or there are 2**63 candidates or more.
    """

    solvents: Mapping[str, Component]
    salts: Mapping[str, Component]
    solvents_per_mixture: tuple[int, ...] = (2,)
    fraction_step: float | None = None
    molality_mol_kg: tuple[float, ...] = (1.0,)
    temperature_K: tuple[float, ...] = (298.15,)

    def __post_init__(self) -> None:
        for factor, values in (
            ("solvents", list(self.solvents.values())),
            ("salts", list(self.salts.values())),
            ("solvents_per_mixture", list(self.solvents_per_mixture)),
            ("molality_mol_kg", list(self.molality_mol_kg)),
            ("temperature_K", list(self.temperature_K)),
        ):
            if not values:
                raise ValueError(f"{factor} is empty; a space needs at least one")
            if len(set(values)) < len(values):
                raise ValueError(f"{factor} holds one value twice; give each once")
        largest = max(self.solvents_per_mixture)
        if min(self.solvents_per_mixture) < 1 or largest > len(self.solvents):
            raise ValueError(
                f"solvents_per_mixture is {list(self.solvents_per_mixture)}; each must lie between 1 and "
                f"{len(self.solvents)}, the number of solvents"
            )
        if self.fraction_step is not None and not math.isclose(self._parts * self.fraction_step, 1):
            raise ValueError(f"fraction_step is {self.fraction_step}; a whole number of steps must make 1")
        if self.fraction_step is not None and self._parts < largest:
            raise ValueError(
                f"fraction_step is {self.fraction_step}; {largest} solvents of at least one step each "
                "exceed 1"
            )
        if self._mixtures * self._conditions_count > sys.maxsize:
            raise ValueError("the space has 2**63 candidates or more, too many to number")

    def __len__(self) -> int:
        return self._mixtures * self._conditions_count

    def __getitem__(self, rows: slice) -> MixtureProduct:
        """Return the candidates of a range, `space[start:stop]`; only their mixtures are decoded.

        As of any sequence, a range may be empty or reach beyond the end.
        """
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"a space is read in ranges of step 1, not {step}")
        stop = max(start, stop)
        count = self._conditions_count
        first = start // count
        last = -(-stop // count) if stop > start else first  # of nothing, no mixture but all conditions
        solvents, weights = self._decode(torch.arange(first, last))
        salt, molality, temperature_K = self._conditions
        low, high = start - first * count, stop - first * count
        if last - first == 1:  # within one mixture: only the conditions that are meant
            salt, molality, temperature_K = salt[low:high], molality[low:high], temperature_K[low:high]
            low, high = 0, high - low
        return MixtureProduct(
            self._solvent_rows[solvents],
            weights.float(),
            salt,
            molality.float(),
            temperature_K.float(),
            low,
            high,
        )

    def at(self, candidates: Tensor, dtype: torch.dtype = torch.float32) -> MixtureBatch:
        """Return some candidates in the order given.

        Args:
            candidates: `n`, int64.
            dtype: Of amounts. In float32 they are what a screen's are, and no more what the space lists once
                they are made float64; those that people read, or optimisers move, are asked for in it.
        """
        count = self._conditions_count
        solvents, weights = self._decode(candidates // count)
        salt, molality, temperature_K = self._conditions
        product = MixtureProduct(
            self._solvent_rows[solvents],
            weights.to(dtype),
            salt,
            molality.to(dtype),
            temperature_K.to(dtype),
            0,
            len(candidates) * count,
        )
        return product.take(torch.arange(len(candidates)) * count + candidates % count)

    @cached_property
    def table(self) -> MoleculeTable:
        """The distinct components of the space: its solvents, then its salts."""
        return MoleculeTable.build([*self.solvents.values(), *self.salts.values()])

    def describe(self, candidates: Sequence[int] | np.ndarray) -> pd.DataFrame:
        """Return what the candidates are, in people's words.

        Args:
            candidates: `n` integers of the space, in any order.

        Returns:
            `n` rows: `candidate`; `solvent_i`, `solvent_i_smiles` and `weight_fraction_i` (among the
            solvents) for each solvent of the largest mixtures, empty where a mixture has fewer; `salt`,
            `salt_smiles`, `molality_mol_kg`, `temperature_K`.

        Raises:
            IndexError: If a candidate is not in the space.
        """
        import pandas as pd  # a third of a second that a worker, which describes nothing, need not wait

        index = torch.from_numpy(np.array(candidates, dtype=np.int64))
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(self):
            raise IndexError(f"the space has candidates 0 to {len(self) - 1}")
        solvents, weights = self._decode(index // self._conditions_count)
        condition = (index % self._conditions_count).numpy()
        salt, molality, temperature = np.unravel_index(condition, self._condition_shape)
        columns: dict[str, object] = {"candidate": index.numpy()}
        for slot in range(max(self.solvents_per_mixture)):
            rows, fraction = solvents[:, slot].numpy(), weights[:, slot].numpy()
            used = fraction > 0
            columns |= {
                f"solvent_{slot + 1}": pd.Series(_names(self.solvents)[rows], dtype="str").where(used),
                f"solvent_{slot + 1}_smiles": pd.Series(_smiles(self.solvents)[rows], dtype="str").where(
                    used
                ),
                f"weight_fraction_{slot + 1}": np.where(used, fraction, np.nan),
            }
        columns |= {
            "salt": pd.Series(_names(self.salts)[salt], dtype="str"),
            "salt_smiles": pd.Series(_smiles(self.salts)[salt], dtype="str"),
            "molality_mol_kg": np.asarray(self.molality_mol_kg, dtype=float)[molality],
            "temperature_K": np.asarray(self.temperature_K, dtype=float)[temperature],
        }
        return pd.DataFrame(columns)

    @cached_property
    def _parts(self) -> int:
        """Steps that make a whole."""
        return 0 if self.fraction_step is None else round(1 / self.fraction_step)

    def _patterns(self, size: int) -> int:
        """Number of ways to share a whole among `size` solvents."""
        return 1 if self.fraction_step is None else math.comb(self._parts - 1, size - 1)

    def _mixtures_of(self, size: int) -> int:
        return math.comb(len(self.solvents), size) * self._patterns(size)

    @cached_property
    def _mixtures(self) -> int:
        return sum(self._mixtures_of(size) for size in self.solvents_per_mixture)

    @cached_property
    def _condition_shape(self) -> tuple[int, int, int]:
        return len(self.salts), len(self.molality_mol_kg), len(self.temperature_K)

    @cached_property
    def _conditions_count(self) -> int:
        return math.prod(self._condition_shape)

    @cached_property
    def _conditions(self) -> tuple[Tensor, Tensor, Tensor]:
        """Salt (row of the table), molality and temperature of each condition, `c` each, float64."""
        every = np.unravel_index(np.arange(self._conditions_count), self._condition_shape)
        salt, molality, temperature = map(torch.from_numpy, every)
        return (
            lookup(list(self.salts.values()), self.table)[salt],
            torch.tensor(self.molality_mol_kg, dtype=torch.float64)[molality],
            torch.tensor(self.temperature_K, dtype=torch.float64)[temperature],
        )

    @cached_property
    def _solvent_rows(self) -> Tensor:
        return lookup(list(self.solvents.values()), self.table)

    def _decode(self, mixtures: Tensor) -> tuple[Tensor, Tensor]:
        """Return positions among the solvents and weight fractions, `len(mixtures) x k` each."""
        solvents = torch.zeros(len(mixtures), max(self.solvents_per_mixture), dtype=torch.int64)
        weights = torch.zeros(solvents.shape, dtype=torch.float64)
        first = 0
        for size in self.solvents_per_mixture:
            count = self._mixtures_of(size)
            here = (mixtures >= first) & (mixtures < first + count)
            subset = (mixtures[here] - first) // self._patterns(size)
            pattern = (mixtures[here] - first) % self._patterns(size)
            solvents[here, :size] = _combinations(subset, len(self.solvents), size)
            weights[here, :size] = self._fractions(pattern, size)
            first += count
        return solvents, weights

    def _fractions(self, pattern: Tensor, size: int) -> Tensor:
        """Return the weight fractions of each pattern, `len(pattern) x size`."""
        if self.fraction_step is None:
            return torch.full((len(pattern), size), 1 / size, dtype=torch.float64)
        ends = torch.zeros(len(pattern), 1, dtype=torch.int64)
        cuts = _combinations(pattern, self._parts - 1, size - 1) + 1  # where one solvent's steps end
        return torch.cat([ends, cuts, ends + self._parts], -1).diff(dim=-1).double() / self._parts


def _combinations(rank: Tensor, n: int, k: int) -> Tensor:
    """Return the `k`-subsets of `range(n)` at lexicographic ranks, `len(rank) x k`, ascending.

    Source: the combinatorial number system; ranks counted from the last subset give the mirrored
    elements in colexicographic order, largest first.
    """
    chosen = torch.empty(len(rank), k, dtype=torch.int64)
    left = math.comb(n, k) - 1 - rank
    for column in range(k):
        binomials = _binomials(n, k - column)
        mirrored = torch.searchsorted(binomials, left, right=True) - 1
        left = left - binomials[mirrored]
        chosen[:, column] = n - 1 - mirrored
    return chosen


@cache
def _binomials(n: int, k: int) -> Tensor:
    return torch.tensor([math.comb(a, k) for a in range(n)])


def _names(components: Mapping[str, Component]) -> np.ndarray:
    return np.array(list(components), dtype=object)


def _smiles(components: Mapping[str, Component]) -> np.ndarray:
    return np.array([component.smiles for component in components.values()], dtype=object)
