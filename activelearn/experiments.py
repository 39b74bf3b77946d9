"""What has been measured and what is being measured, beside the candidates of a space, over one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from botorch.models.model import Model as BoTorchModel
from torch import Tensor
from torch.nn.functional import pad

from activelearn.acquisition import Gaussian
from activelearn.chemical_constraints import MixtureVariables
from activelearn.constraints import Constraints
from activelearn.regions import Region
from activelearn.spaces import MixtureSpace
from surrogates.batches import MixtureBatch, concatenate
from surrogates.botorch_gp import GPSurrogate
from surrogates.botorch_model import EnsembleSurrogate, StudentSurrogate
from surrogates.gp_predictor import GPPredictor
from surrogates.mixture_data import MixtureData
from surrogates.molecules import Component, MoleculeTable, lookup
from surrogates.prediction import MemberPredictor, Predictor
from surrogates.prior_gp import PriorGPPredictor
from surrogates.student import StudentPredictor

_SAME, _SAME_K = 7e-4, 0.5
"""Fractions and mol/kg, and temperatures, that are nearer than this are one: a file says 0.333, 0.333 and
0.334 for thirds, and 298 K for 298.15."""
_BESIDE, _BESIDE_MOLALITY, _BESIDE_K = 0.015, 0.04, 1.5
"""Fractions, mol/kg and temperatures that are nearer to what failed than this would fail too."""
APART_FRACTION, APART_MOLALITY, APART_K = 0.01, 0.02, 1.0
"""What a laboratory can tell apart: a weight fraction of a few grams weighed in, mol/kg, K of a thermostat
that all who measure use. Amounts that run freely differ from others by as much in one of them at least."""
_ROUNDING = 1e-6
"""Of these."""


class MixtureModel(Protocol):
    """A fitted model of mixtures."""

    @property
    def target(self) -> str:
        """Name of the target with its unit."""

    def bind(self, table: MoleculeTable) -> Predictor:
        """Return the predictor for mixtures of these molecules."""


@runtime_checkable
class _Members(MemberPredictor, Protocol):
    """Told from other predictors where it is decided which face BoTorch sees."""


@dataclass(frozen=True)
class Listed:
    """Mixtures of any components.

    Attributes:
        table: The components.
        batch: `n` mixtures, float64.
        values: `n`, what was measured; empty of what is being measured.
    """

    table: MoleculeTable
    batch: MixtureBatch
    values: Tensor

    @staticmethod
    def measured(data: MixtureData) -> Listed:
        """Return measurements."""
        return Listed(data.table, data.batch.to(torch.float64), data.target.double())


@dataclass(frozen=True)
class Experiments:
    """The candidates of a space beside what is known of others, as one model sees them all.

    Rows of BoTorch's models are of one width here, whichever mixture they hold.

    Attributes:
        space: The candidates.
        constraints: What they must fulfil, over `MixtureVariables` of the space.
        model: What is believed.
        measured: What has been measured, of any components; None if nothing.
        pending: What is being measured.
        failed: What could not be measured: it is kept away from, and nothing is learnt of its value.
    """

    space: MixtureSpace
    constraints: Constraints
    model: MixtureModel
    measured: Listed | None = None
    pending: Listed | None = None
    failed: Listed | None = None

    @cached_property
    def variables(self) -> MixtureVariables:
        """The columns of amounts."""
        return MixtureVariables(self.space.solvents, self.space.salts)

    @cached_property
    def table(self) -> MoleculeTable:
        """The components of the space, in its order, then those of other mixtures."""
        return MoleculeTable.build(
            [*self.space.table.components, *(c for one in self._others for c in one.table.components)]
        )

    @cached_property
    def predictor(self) -> Predictor:
        """The model, bound to the table."""
        return self.model.bind(self.table)

    @cached_property
    def surrogate(self) -> Gaussian:
        """The model as BoTorch sees it: its posteriors are Gaussian."""
        return Gaussian(botorch_model(self.predictor, self._salts))

    def rows(self, batch: MixtureBatch) -> Tensor:
        """Return mixtures over the table as the surrogate takes them, `n x (2 k + 2 s + 1)`, float64."""
        if batch.salts.shape[1] > self._salts:
            batch = batch.packed()  # a slot for each salt of the space, of which one is used
        k, s = self._solvents - batch.solvents.shape[1], self._salts - batch.salts.shape[1]
        return MixtureBatch(
            pad(batch.solvents, (0, k)),
            pad(batch.weights, (0, k)),
            pad(batch.salts, (0, s)),
            pad(batch.molality, (0, s)),
            batch.temperature_K,
        ).to_rows()

    def mixtures(self, x: Tensor) -> MixtureBatch:
        """Return the mixtures of some amounts, `n x d`, with a slot for each component; gradients pass."""
        k, s = len(self.space.solvents), len(self.space.salts)
        return self._mixtures(x, range(k), range(s))

    def of_region(self, region: Region, z: Tensor) -> Tensor:
        """Return the rows of points of a region, `... x (2 k + 2 s + 1)`; gradients pass.

        Args:
            region: Its components alone have slots.
            z: `... x f`.
        """
        k = len(self.space.solvents)
        there = [c for c in range(len(self.variables.names) - 1) if c in region.free or region.fixed[c] > 0]
        solvents, salts = [c for c in there if c < k], [c - k for c in there if c >= k]
        batch = self._mixtures(region.amounts(z.reshape(-1, z.shape[-1])), solvents, salts)
        return self.rows(batch).reshape(*z.shape[:-1], -1)

    @cached_property
    def baseline(self) -> Tensor:
        """Return which of the measured mixtures could be candidates, int64: by these, others are judged."""
        if self.measured is None:
            return torch.zeros(0, dtype=torch.int64)
        x, is_of_space = self._amounts(self.measured)
        low, high = min(self.space.temperature_K), max(self.space.temperature_K)
        kelvin = x[:, -1].clamp(low, high)
        near = (kelvin - x[:, -1]).abs() <= _SAME_K
        x = torch.cat([x[:, :-1], kelvin[:, None]], dim=1)
        return (is_of_space & near & self.constraints.is_feasible(x)).nonzero()[:, 0]

    def is_taken(self, x: Tensor) -> Tensor:
        """Return whether amounts are those of a mixture that was measured or is pending, `n`, bool.

        Or nearly those of one that failed.
        """
        failed = [] if self.failed is None else [self.failed]
        return _is_near(x, self.known, self.same) | _is_near(x, self._of_space(failed), self._beside)

    def is_beside_known(self, x: Tensor) -> Tensor:
        """Return whether amounts are taken, or so near to what is known that no laboratory can tell, `n`."""
        return self.is_taken(x) | self.is_beside(x, self.known)

    def is_beside(self, x: Tensor, others: Tensor) -> Tensor:
        """Return whether a laboratory cannot tell amounts, `n x d`, from some of others, `m x d`, bool."""
        return _is_near(x, others, self.apart * (1 - _ROUNDING))

    @cached_property
    def apart(self) -> Tensor:
        """How far amounts must be from each other to be two, in one column at least, `d`.

        A space whose own steps are finer has been asked to tell these apart.
        """
        k, s = len(self.space.solvents), len(self.space.salts)
        fraction = min(APART_FRACTION, self.space.fraction_step or APART_FRACTION)
        molality = min(APART_MOLALITY, _least_gap([0.0, *self.space.molality_mol_kg]))
        kelvin = min(APART_K, _least_gap(self.space.temperature_K))
        return torch.tensor([fraction] * k + [molality] * s + [kelvin], dtype=torch.float64)

    @cached_property
    def known(self) -> Tensor:
        """Amounts of what was measured or is pending and has components of the space alone, `m x d`."""
        return self._of_space(self._others)

    def _of_space(self, others: Sequence[Listed]) -> Tensor:
        found = [self._amounts(one) for one in others]
        nothing = torch.zeros(0, len(self.variables.names), dtype=torch.float64)
        return torch.cat([nothing, *(amounts[inside] for amounts, inside in found)])

    @property
    def same(self) -> Tensor:
        """How near two amounts are that count as one, `d`."""
        return torch.tensor([_SAME] * (len(self.variables.names) - 1) + [_SAME_K], dtype=torch.float64)

    @property
    def _beside(self) -> Tensor:
        """How near to what failed amounts are not tried, `d`."""
        k, s = len(self.space.solvents), len(self.space.salts)
        beside = [_BESIDE] * k + [_BESIDE_MOLALITY] * s + [_BESIDE_K]
        return torch.tensor(beside, dtype=torch.float64)

    def measured_rows(self, which: Tensor) -> Tensor:
        """Return some of the measured mixtures as the surrogate takes them."""
        return self._listed_rows(self.measured)[which]

    def measured_amounts(self, which: Tensor) -> Tensor:
        """Return the amounts of some of the measured mixtures that could be candidates, `n x d`."""
        if self.measured is None:
            return torch.zeros(0, len(self.variables.names), dtype=torch.float64)
        return self._amounts(self.measured)[0][which]

    def pending_rows(self) -> Tensor:
        """Return the pending mixtures as the surrogate takes them, `p x ...`."""
        return self._listed_rows(self.pending)

    @property
    def _others(self) -> list[Listed]:
        return [one for one in (self.measured, self.pending) if one is not None]

    @cached_property
    def _solvents(self) -> int:
        """Slots for solvents in a row: also a whole simplex of all solvents has room."""
        return max(len(self.space.solvents), *(one.batch.solvents.shape[1] for one in self._others), 1)

    @cached_property
    def _salts(self) -> int:
        return max(1, *(one.batch.salts.shape[1] for one in self._others), 1)

    def _listed_rows(self, listed: Listed | None) -> Tensor:
        if listed is None:
            return self.rows(self._mixtures(torch.zeros(0, len(self.variables.names)).double(), [0], [0]))
        place = lookup(listed.table.components, self.table)
        batch = listed.batch
        return self.rows(replace(batch, solvents=place[batch.solvents], salts=place[batch.salts]))

    def _amounts(self, listed: Listed) -> tuple[Tensor, Tensor]:
        """Return amounts, `n x d`, of mixtures, and whether the space has all their components, `n`."""
        index = {component: place for place, component in enumerate(self._components)}
        known = torch.tensor([one in index for one in listed.table.components])
        batch = replace(listed.batch, weights=listed.batch.fractions())
        has_all = (known[batch.solvents] | (batch.weights == 0)).all(1)
        has_all &= (known[batch.salts] | (batch.molality == 0)).all(1)
        return self.variables.rows(batch, listed.table), has_all

    @property
    def _components(self) -> Sequence[Component]:
        return [*self.space.solvents.values(), *self.space.salts.values()]

    def _mixtures(self, x: Tensor, solvents: Sequence[int], salts: Sequence[int]) -> MixtureBatch:
        k, n = len(self.space.solvents), len(x)
        rows = lookup(self._components, self.table)
        chosen, salt = (torch.tensor(one, dtype=torch.int64) for one in (solvents, salts))  # maybe no salt
        return MixtureBatch(
            rows[chosen].expand(n, -1),
            x[:, chosen],
            rows[k + salt].expand(n, -1),
            x[:, k + salt],
            x[:, -1],
        )


def _least_gap(values: Sequence[float]) -> float:
    """Return the least distance between two of some numbers, infinite of one."""
    ordered = sorted({*values})
    return min((high - low for low, high in pairwise(ordered)), default=math.inf)


def _is_near(x: Tensor, known: Tensor, within: Tensor) -> Tensor:
    """Return whether amounts, `n x d`, are within `within`, `d`, of some of `known`, `m x d`."""
    if not len(known):
        return torch.zeros(len(x), dtype=torch.bool)
    return torch.cdist(x / within, known / within, p=torch.inf).amin(1) <= 1


def botorch_model(predictor: Predictor, salts: int) -> BoTorchModel:
    """Return the BoTorch model of a bound predictor of mixtures.

    Raises:
        TypeError: If it has none.
    """
    if isinstance(predictor, GPPredictor | PriorGPPredictor):
        return GPSurrogate(predictor, salts)
    if isinstance(predictor, StudentPredictor):
        return StudentSurrogate(predictor, salts)
    if isinstance(predictor, _Members):
        return EnsembleSurrogate(predictor, salts)
    raise TypeError(f"{type(predictor).__name__} has no BoTorch model")


def both(one: Listed, other: Listed) -> Listed:
    """Return mixtures of two lists as one."""
    table = MoleculeTable.build([*one.table.components, *other.table.components])
    k = max(part.batch.solvents.shape[1] for part in (one, other))
    s = max(part.batch.salts.shape[1] for part in (one, other))
    batches = []
    for part in (one, other):
        place, batch = lookup(part.table.components, table), part.batch
        more, salts = k - batch.solvents.shape[1], s - batch.salts.shape[1]
        batches.append(
            MixtureBatch(
                pad(place[batch.solvents], (0, more)),
                pad(batch.weights, (0, more)),
                pad(place[batch.salts], (0, salts)),
                pad(batch.molality, (0, salts)),
                batch.temperature_K,
            )
        )
    return Listed(table, concatenate(*batches), torch.cat([one.values, other.values]))
