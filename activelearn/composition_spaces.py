"""A space of cathode compositions: every charge-balanced one is an integer, and none is stored."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from activelearn.balanced_amounts import BalancedAmounts
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.compositions import ions
from surrogates.text_tables import nearest

_MOST_BLOCKS = 2**20
"""Sets of metals with a lithium and a fluorine content that a space may have; each takes some 0.5 kB."""


@dataclass(frozen=True)
class CompositionSpace:
    """Every rocksalt of lithium, some metals, oxygen and fluorine on a grid whose charges balance.

    Cations sum to 2, anions to 2, every amount is a multiple of the step, each metal has at least one step.
    An element stands once in a composition. Where it is given in several charges (Mn2+ and Mn3+), it may
    stand in any mixture of them, so that its mean charge may be anything in between; a composition is in the
    space if such means balance it exactly. So no formula occurs twice, whichever ions could make it up.

    Candidates run over sets of metals (sizes as given, within a size in lexicographic order), then
    lithium, then fluorine, each as given, then the amounts of the metals in lexicographic order.

    Attributes:
        metals: Ions of `surrogates/ions.csv` such as `Mn2+`, or its groups such as `d0`, which stand for
            all of theirs. Elements are in the order in which they come first.
        metals_per_composition: Numbers of metals besides lithium.
        lithium: Amounts of lithium for two anions.
        fluorine: Amounts of fluorine; the rest of the two anions is oxygen.
        step: Of the grid; its inverse is a whole number.

    Raises:
        ValueError: If a factor is empty, repeats a value or is off the grid, an ion is unknown, a
            composition asks for more metals than there are, nothing balances, or there is too much to number.
    """

    metals: tuple[str, ...]
    metals_per_composition: tuple[int, ...]
    lithium: tuple[float, ...]
    fluorine: tuple[float, ...]
    step: float

    def __post_init__(self) -> None:
        for factor in ("metals", "metals_per_composition", "lithium", "fluorine"):
            values = getattr(self, factor)
            if not values:
                raise ValueError(f"{factor} is empty; a space needs at least one")
            if len(set(values)) < len(values):
                raise ValueError(f"{factor} holds one value twice; give each once")
        if not (0 < self.step <= 1 and math.isclose(self._parts * self.step, 1)):
            raise ValueError(f"step is {self.step}; a whole number of steps must make 1")
        self._check_grid("lithium", "above 0 and below 2", lambda steps: 0 < steps < 2 * self._parts)
        self._check_grid("fluorine", "from 0 to 2", lambda steps: 0 <= steps <= 2 * self._parts)
        sizes, most = self.metals_per_composition, len(self.charges)
        if min(sizes) < 1 or max(sizes) > most:
            raise ValueError(
                f"metals_per_composition is {list(sizes)}; each must lie between 1 and {most}, the number "
                "of elements among the metals"
            )
        self._check_size()
        if not len(self):
            raise ValueError("no composition of the space balances; give other metals, lithium or fluorine")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: slice) -> CompositionBatch:
        """Return the candidates of a range, `space[start:stop]`, float32; lithium fills the first slot."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"a space is read in ranges of step 1, not {step}")
        return self.at(torch.arange(start, max(start, stop)))

    def at(self, candidates: Tensor) -> CompositionBatch:
        """Return some candidates, `n`, int64, in the order given; float32."""
        metals, amounts, lithium, fluorine = self._decode(candidates)
        cations = torch.cat([torch.zeros_like(lithium)[:, None], metals + 1], dim=-1)
        steps = torch.cat([lithium[:, None], amounts], dim=-1)
        return CompositionBatch.from_amounts(
            cations, (steps.double() / self._parts).float(), (fluorine.double() / self._parts).float()
        )

    def __getstate__(self) -> dict[str, object]:
        """Return the fields alone; whoever gets the space makes its tables anew."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def table(self) -> CompositionTable:
        """The cations of the space: lithium, then the elements of its metals."""
        return CompositionTable.of(["Li", *self.charges])

    @cached_property
    def charges(self) -> Mapping[str, tuple[int, int]]:
        """Lowest and highest charge of each element of the metals, in the order of the space."""
        known = {str(ion): [ion] for ion in ions() if ion.element != "Li"}
        for ion in ions():
            if ion.element != "Li":
                known.setdefault(ion.group, []).append(ion)
        ranges: dict[str, tuple[int, int]] = {}
        for name in self.metals:
            if name not in known:
                raise ValueError(_unknown(name, known))
            for ion in known[name]:
                low, high = ranges.get(ion.element, (ion.charge, ion.charge))
                ranges[ion.element] = min(low, ion.charge), max(high, ion.charge)
        return ranges

    def describe(self, candidates: Sequence[int] | np.ndarray) -> pd.DataFrame:
        """Return what the candidates are, in people's words.

        Args:
            candidates: `n` integers of the space, in any order.

        Returns:
            `n` rows: `candidate`, `formula`, `lithium`, `metal_i` and `amount_i` for each metal of the
            largest compositions, empty where one has fewer, and `fluorine`; amounts are for two anions.

        Raises:
            IndexError: If a candidate is not in the space.
        """
        index = torch.from_numpy(np.array(candidates, dtype=np.int64))
        if len(index) and not 0 <= int(index.min()) <= int(index.max()) < len(self):
            raise IndexError(f"the space has candidates 0 to {len(self) - 1}")
        metals, amounts, lithium, fluorine = (part.numpy() for part in self._decode(index))
        symbols = np.array(list(self.charges), dtype=object)
        columns: dict[str, object] = {"lithium": lithium / self._parts}
        formula = self._written("Li", lithium)
        for slot in range(metals.shape[1]):
            symbol, steps = symbols[metals[:, slot]], amounts[:, slot]
            formula = formula + self._written(symbol, steps)
            used = steps > 0
            columns[f"metal_{slot + 1}"] = pd.Series(symbol, dtype="str").where(used)
            columns[f"amount_{slot + 1}"] = np.where(used, steps / self._parts, np.nan)
        formula = formula + self._written("O", 2 * self._parts - fluorine) + self._written("F", fluorine)
        columns["fluorine"] = fluorine / self._parts
        named = {"candidate": index.numpy(), "formula": pd.Series(formula, dtype="str")}
        return pd.DataFrame(named | columns)

    def _written(self, symbol: str | np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return an element and its amount as they stand in a formula, `n` texts; nothing for none."""
        amounts = [f"{count / self._parts:.12g}" for count in range(2 * self._parts + 1)]
        amounts[self._parts] = ""  # one is not written
        written = symbol + np.array(amounts, dtype=object)[steps]
        return np.where(steps > 0, written, "")

    @cached_property
    def _parts(self) -> int:
        """Steps that make an amount of 1."""
        return round(1 / self.step) if self.step > 1e-9 else 0

    @cached_property
    def _steps(self) -> tuple[Tensor, Tensor]:
        """Lithium and fluorine contents, in steps."""
        lithium, fluorine = (
            torch.tensor([round(amount * self._parts) for amount in amounts])
            for amounts in (self.lithium, self.fluorine)
        )
        return lithium, fluorine

    @cached_property
    def _sets(self) -> np.ndarray:
        """Positions among the elements of each set of metals, `s x k`; -1 in unused slots."""
        sizes, elements = self.metals_per_composition, range(len(self.charges))
        sets = [np.array(list(itertools.combinations(elements, size))) for size in sizes]
        widths = [(0, max(sizes) - size) for size in sizes]
        padded = [
            np.pad(rows, [(0, 0), width], constant_values=-1)
            for rows, width in zip(sets, widths, strict=True)
        ]
        return np.concatenate(padded)

    @cached_property
    def _balanced(self) -> BalancedAmounts:
        ends = np.array([*self.charges.values(), (0, 0)])[self._sets]  # -1 takes the last: no charge
        lithium, fluorine = self._steps
        sites = 2 * self._parts - int(lithium.min())
        charge = 4 * self._parts - int(fluorine.min()) - int(lithium.min())
        return BalancedAmounts.of(ends[..., 0], ends[..., 1], sites, charge)

    @cached_property
    def _ends(self) -> Tensor:
        """Where the candidates of each block (set, lithium, fluorine) end; the last fastest."""
        blocks = torch.arange(len(self._sets) * len(self.lithium) * len(self.fluorine))
        sets, lithium, fluorine = self._block(blocks)
        return self._balanced.count(sets, *self._asked(lithium, fluorine)).cumsum(0)

    def _block(self, blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the row of the set, and lithium and fluorine in steps, of each block, `n` each."""
        lithium, fluorine = self._steps
        rest = blocks // len(fluorine)
        return rest // len(lithium), lithium[rest % len(lithium)], fluorine[blocks % len(fluorine)]

    def _asked(self, lithium: Tensor, fluorine: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sites and the charge that are left to the metals, in steps, `n` each."""
        return 2 * self._parts - lithium, 4 * self._parts - fluorine - lithium

    def _decode(self, candidates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return metals (positions, 0 in unused slots) and amounts, `n x k`; lithium and fluorine, `n`.

        Amounts are in steps.
        """
        block = torch.searchsorted(self._ends, candidates, right=True)
        sets, lithium, fluorine = self._block(block)
        sites, charge = self._asked(lithium, fluorine)
        first = self._ends[block] - self._balanced.count(sets, sites, charge)
        amounts = self._balanced.decode(sets, candidates - first, sites, charge)
        return torch.from_numpy(self._sets).clamp(min=0)[sets], amounts, lithium, fluorine

    def _check_grid(self, factor: str, bounds: str, is_inside: Callable[[int], bool]) -> None:
        amounts = getattr(self, factor)
        for amount in amounts:
            steps = amount * self._parts
            if not (math.isfinite(steps) and is_inside(round(steps))):
                raise ValueError(f"{factor} holds {amount}; each must lie {bounds}, for two anions")
            if abs(steps - round(steps)) > 1e-6:
                raise ValueError(f"{factor} holds {amount}, which is no multiple of the step {self.step}")
        if len({round(amount * self._parts) for amount in amounts}) < len(amounts):
            raise ValueError(f"{factor} holds one value twice; give each once")

    def _check_size(self) -> None:
        elements, sizes = len(self.charges), self.metals_per_composition
        contents = len(self.lithium) * len(self.fluorine)
        blocks = {size: math.comb(elements, size) * contents for size in sizes}
        if sum(blocks.values()) > _MOST_BLOCKS:
            raise ValueError(
                f"there are {sum(blocks.values())} sets of metals with a lithium and a fluorine content, at "
                f"most {_MOST_BLOCKS} can be numbered; give fewer metals or contents"
            )
        sites = 2 * self._parts - int(self._steps[0].min())
        if sum(count * math.comb(sites - 1, size - 1) for size, count in blocks.items()) > sys.maxsize:
            raise ValueError("the space may have 2**63 candidates or more, too many to number")


def _unknown(name: str, known: Iterable[str]) -> str:
    same = [str(ion) for ion in ions() if name.rstrip("0123456789+-") == ion.element != "Li"]
    mend = f"{nearest(name, known)}Write it as Mn2+ or d0"
    if same:
        mend = f"Those of its element are {', '.join(same)}"
    return f'metals holds "{name}", which is no ion or group of surrogates/ions.csv besides lithium. {mend}'
