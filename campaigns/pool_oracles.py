"""Who answers for a pool: by the places of its candidates, with a seed, without a table each round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from campaigns.candidate_tables import combined, normals
from campaigns.oracles import Emulator, FittedModel, VirtualLaboratory
from surrogates.batches import MixtureBatch
from surrogates.molecules import MoleculeTable
from surrogates.quantities import Floats

_CATHODES = 4
"""What a random number is for, beside those of `campaigns.oracles`."""


class PoolOracle(Protocol):
    """Who answers for a pool; it pickles."""

    def measured(self, places: Sequence[int], seed: int) -> Floats:
        """Return what came out of candidates, in the target's unit; NaN of what failed.

        Args:
            places: `m`, in the pool; one that stands twice is measured twice.
            seed: Another one is another laboratory, where there is one.
        """


@dataclass(frozen=True)
class MeasuredPool:
    """Measurements: asked again, the next of a candidate's; a seed changes nothing.

    Attributes:
        rows: `n`, of each candidate the places of its measurements, in their order.
        values: In the target's unit; NaN of what failed.
    """

    rows: tuple[tuple[int, ...], ...]
    values: Floats

    def measured(self, places: Sequence[int], seed: int) -> Floats:
        """Return what came out, see `PoolOracle`."""
        asked = zip(places, _repeats(places), strict=True)
        found: Floats = self.values[[self.rows[place][again] for place, again in asked]]
        return found


@dataclass(frozen=True)
class LaboratoryPool:
    """The virtual laboratory, on `n` mixtures; each seed is another laboratory.

    Attributes:
        table: The components.
        batch: The mixtures.
        failure_rate: Share of experiments that fail.
        target: What it measures.
    """

    table: MoleculeTable
    batch: MixtureBatch
    failure_rate: float
    target: str

    def measured(self, places: Sequence[int], seed: int) -> Floats:
        """Return what came out, see `PoolOracle`."""
        laboratory = VirtualLaboratory(seed=seed, failure_rate=self.failure_rate, target=self.target)
        return laboratory.values(self.table, self.batch[torch.tensor(places)], _repeats(places))


@dataclass(frozen=True)
class EmulatedPool:
    """A surrogate played as truth, on `n` mixtures; a measurement scatters as the model says it does.

    Attributes:
        table: The components.
        batch: The mixtures.
        model: The surrogate.
    """

    table: MoleculeTable
    batch: MixtureBatch
    model: FittedModel

    def measured(self, places: Sequence[int], seed: int) -> Floats:
        """Return what came out, see `PoolOracle`."""
        emulator = Emulator(self.model, seed=seed)
        return emulator.values(self.table, self.batch[torch.tensor(places)], _repeats(places))


@dataclass(frozen=True)
class CathodePool:
    """A discharge model played as truth, on `n` compositions.

    Attributes:
        truth: `n`, what the model says, in the target's unit.
        noise: Standard deviation of a measurement, as a share of the truth: the networks say none.
    """

    truth: Floats
    noise: float

    def measured(self, places: Sequence[int], seed: int) -> Floats:
        """Return what came out, see `PoolOracle`."""
        keys = combined(np.array(places, dtype=np.uint64), _repeats(places).astype(np.uint64))
        scatter = self.noise * normals(keys, seed, _CATHODES)
        truth = self.truth[list(places)]
        found: Floats = truth + np.abs(truth) * scatter
        return found


def _repeats(places: Sequence[int]) -> np.ndarray:
    """Return how often each place stands before."""
    each = pd.Series(list(places))
    return each.groupby(each).cumcount().to_numpy(dtype=np.int64)
