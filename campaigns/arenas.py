"""Where strategies are compared: a pool of candidates, what a model says of them, and who answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from activelearn.chemical_constraints import CompositionVariables, MixtureVariables
from activelearn.composition_spaces import CompositionSpace
from activelearn.constraints import Constraints
from activelearn.mixture_masks import MixtureMask
from activelearn.screening import BLOCK
from activelearn.spaces import MixtureSpace
from campaigns.candidate_tables import candidate_frame
from campaigns.oracles import VirtualLaboratory
from campaigns.replay import Replay
from campaigns.table_replay import TableReplay
from campaigns.worth import CONDUCTIVITY
from surrogates.batches import MixtureBatch
from surrogates.ensemble import MixtureEnsemble
from surrogates.forest import Inputs, mixture_inputs
from surrogates.gp_fitting import fit_inputs
from surrogates.gp_predictor import GPInputs, columns_of
from surrogates.law_ensemble import LawEnsemble
from surrogates.molecules import MoleculeTable

_SHARE = 2.0
"""Scale of the share of a component, beside conditions whose standard deviation is 1."""
Ensemble = MixtureEnsemble | LawEnsemble


@dataclass(frozen=True)
class SpaceMixtures:
    """What only the mixtures of a space have, and gradients need.

    Attributes:
        space: What the pool was taken from.
        constraints: What holds in it.
        table: The components.
        batch: `n` mixtures, all feasible.
        told: What makes the inputs of a process of any mixtures.
        model: Trained before; None without one.
    """

    space: MixtureSpace
    constraints: Constraints
    table: MoleculeTable
    batch: MixtureBatch
    told: GPInputs
    model: Ensemble | None

    @cached_property
    def rows(self) -> Tensor:
        """Amounts, molalities and temperature, `n x w`."""
        return self.variables.rows(self.batch, self.table)

    @property
    def variables(self) -> MixtureVariables:
        """What the columns of `rows` are."""
        return MixtureVariables(self.space.solvents, self.space.salts)

    def frame(self, places: Sequence[int]) -> pd.DataFrame:
        """Return candidates in the words of a training file."""
        return candidate_frame(self.table, self.batch[torch.tensor(places)])


@dataclass(frozen=True)
class Arena:
    """A pool of `n` candidates as strategies see it.

    Attributes:
        inputs: `n x d`, float64, what a process is told of each.
        descriptors: `n x c`, what trees are told.
        prior_mean: `n`, what a model that was trained before says, in the target's unit; 0 without one.
        prior_std: `n`, how sure it is; 1 without one.
        has_prior: Whether there is one.
        candidate: `n`, numbers of the space's candidates; of measured ones the place of their first
            measurement.
        mixtures: What only mixtures of a space have.
        repeatability: Standard deviation of a measurement that is known before, in the target's unit; 0 where
            it is not.
    """

    inputs: Tensor
    descriptors: Inputs
    prior_mean: Tensor
    prior_std: Tensor
    has_prior: bool
    candidate: Tensor
    mixtures: SpaceMixtures | None = None
    repeatability: float = 0.0

    def __len__(self) -> int:
        return len(self.inputs)

    def unsure(self, doubt: float) -> Tensor:
        """Return the prior's standard deviation with another one beside it, `n`, in the target's unit."""
        return (self.prior_std.square() + doubt**2).sqrt()

    @cached_property
    def positions(self) -> Tensor:
        """Amounts, or inputs of others, in the unit cube, `n x w`: for plans without a model."""
        x = self.inputs if self.mixtures is None else self.mixtures.rows
        low, width = x.amin(0), x.amax(0) - x.amin(0)
        return (x - low)[:, width > 1e-9] / width[width > 1e-9]

    @staticmethod
    def without_prior(
        inputs: Tensor, descriptors: Inputs, candidate: Tensor, mixtures: SpaceMixtures | None = None
    ) -> Arena:
        """Return a pool of which no model has been trained before."""
        zeros = torch.zeros(len(inputs), dtype=torch.float64)
        return Arena(inputs, _varying(descriptors), zeros, zeros + 1, False, candidate, mixtures)


def arena_of_space(
    space: MixtureSpace, mask: MixtureMask | None, constraints: Constraints, model: Ensemble | None
) -> Arena:
    """Return all feasible candidates of a space, as a model sees them if one was trained before.

    Args:
        space: Small enough to be held.
        mask: What leaves candidates out.
        constraints: What holds.
        model: Trained before, on what is measured.
    """
    kept = [
        torch.from_numpy(~mask.missed(space[start : start + BLOCK]).any(1)).nonzero()[:, 0] + start
        if mask is not None
        else torch.arange(start, min(start + BLOCK, len(space)))
        for start in range(0, len(space), BLOCK)
    ]
    candidate = torch.cat(kept)
    table, batch = space.table, space.at(candidate).to(torch.float64)
    if model is None:
        told, inputs = _told_shares(table, batch)
        mixtures = SpaceMixtures(space, constraints, table, batch, told, None)
        return Arena.without_prior(inputs, mixture_inputs(table, batch), candidate, mixtures)
    predictor = model.bind(table)
    parts = [batch[start : start + BLOCK].to(torch.float32) for start in range(0, len(batch), BLOCK)]
    with torch.no_grad():
        said = [predictor.predict(part) for part in parts]
        mixed = torch.cat([predictor.mixed(part) for part in parts], dim=1)
    columns = columns_of(model.features.of(table), batch)
    told = fit_inputs(mixed, columns)
    return Arena(
        inputs=told.of(mixed, columns),
        descriptors=_varying(mixture_inputs(table, batch)),
        prior_mean=torch.cat([one.mean for one in said]).double(),
        prior_std=torch.cat([one.std for one in said]).double(),
        has_prior=True,
        candidate=candidate,
        mixtures=SpaceMixtures(space, constraints, table, batch, told, model),
    )


def arena_of_replay(replay: Replay) -> Arena:
    """Return the mixtures of a measured data set."""
    first = torch.tensor(replay.first)
    batch = replay.batch[first].to(torch.float64)
    _, inputs = _told_shares(replay.table, batch)
    return Arena.without_prior(inputs, mixture_inputs(replay.table, batch), first)


def arena_of_table(replay: TableReplay) -> Arena:
    """Return the rows of a table of numbers: shares of a whole as those of mixtures, others standardised.

    Before, each is divided by the whole or by its own largest: a thickness in m varies as one in nm does.
    """
    data, first = replay.data, replay.first
    columns = torch.from_numpy(data.inputs[first])
    whole, free = data.whole, columns.shape[1] - data.elements
    scale = torch.full((columns.shape[1],), _SHARE, dtype=torch.float64)
    unit = torch.ones_like(scale)
    if whole is None:
        largest = columns[:, :free].abs().amax(0)
        unit[:free] = torch.where(largest > 0, largest, 1.0)
        scale[:free] = torch.nan
    else:
        unit[:free] = whole
    columns = columns / unit
    inputs = _told(columns, scale)[1]
    return Arena.without_prior(inputs, columns.numpy(), torch.tensor(first))


def arena_of_cathodes(space: CompositionSpace, candidate: Tensor) -> Arena:
    """Return compositions of a space by the amounts of their elements.

    Args:
        space: What they are taken from.
        candidate: `n`, which.
    """
    amounts = CompositionVariables(space.table.elements).rows(space.at(candidate))
    inputs = _told(amounts, torch.full((amounts.shape[1],), _SHARE, dtype=torch.float64))[1]
    return Arena.without_prior(inputs, amounts.numpy(), candidate)


def _told_shares(table: MoleculeTable, batch: MixtureBatch) -> tuple[GPInputs, Tensor]:
    """Return what makes a process's inputs of mixtures by their shares, and those of these, `n x (u + 2)`."""
    scale = torch.full((len(table) + 2,), torch.nan, dtype=torch.float64)
    scale[: len(table)] = _SHARE  # a component is a component, however rare
    return _told(_amounts(table, batch), scale)


def _told(columns: Tensor, scale: Tensor) -> tuple[GPInputs, Tensor]:
    """Return what makes a process's inputs of columns, and those of these, `n x d`.

    Args:
        columns: `n x d`, float64.
        scale: `d`, what columns are multiplied with; NaN of those whose standard deviation is made 1.
    """
    nothing = torch.zeros(1, len(columns), 1)
    told = fit_inputs(nothing, columns)
    told = replace(told, column_scale=torch.where(scale.isnan(), told.column_scale, scale))
    return told, told.of(nothing, columns)


def _amounts(table: MoleculeTable, batch: MixtureBatch) -> Tensor:
    """Return the share of each component, molality and temperature, `n x (u + 2)`.

    What mixtures share tells a process that knows nothing else more than what their components are like: of
    11,340 mixtures of the virtual laboratory, 240 at random ranked the others with a correlation of 0.96 by
    shares, 0.84 by principal components of descriptors (extremely randomised trees: 0.86).
    """
    shares = torch.zeros(len(batch), len(table), dtype=torch.float64)
    shares.scatter_add_(1, batch.solvents, batch.fractions()).scatter_add_(
        1, batch.salts, batch.salt_shares()
    )
    conditions = torch.stack([batch.molality.sum(1), batch.temperature_K], dim=1)
    return torch.cat([shares, conditions], dim=1)


def _varying(inputs: Inputs) -> Inputs:
    return inputs[:, np.ptp(inputs, axis=0) > 0]


def truth_of_space(mixtures: SpaceMixtures) -> Tensor:
    """Return what the virtual laboratory's law says of each candidate, `n`, log10 of S/cm.

    Raises:
        InputError: If the law does not know a component, or a temperature.
    """
    law = VirtualLaboratory(between=0.0, target=CONDUCTIVITY.name)
    with torch.no_grad():
        return law.expected(mixtures.table, mixtures.batch)
