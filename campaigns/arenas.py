"""Where strategies are compared: a pool of candidates, what a model says of them, and who answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables
from activelearn.constraints import Constraints
from activelearn.mixture_masks import MixtureMask
from activelearn.screening import BLOCK
from activelearn.spaces import MixtureSpace
from campaigns.candidate_tables import candidate_frame
from campaigns.oracles import VirtualLaboratory
from campaigns.replay import Replay
from surrogates.batches import MixtureBatch
from surrogates.ensemble import MixtureEnsemble
from surrogates.forest import Inputs, mixture_inputs
from surrogates.gp_fitting import fit_inputs
from surrogates.gp_predictor import GPInputs, columns_of
from surrogates.law_ensemble import LawEnsemble
from surrogates.molecules import MoleculeTable

TARGET = "log10_conductivity_S_cm"
_SHARE = 2.0
"""Scale of the share of a component, beside conditions whose standard deviation is 1."""
Ensemble = MixtureEnsemble | LawEnsemble


@dataclass(frozen=True)
class Arena:
    """A pool of `n` candidates as strategies see it.

    Attributes:
        table: The components.
        batch: `n` mixtures, all feasible.
        inputs: `n x d`, float64, what a process is told of each.
        told: What makes these of other mixtures.
        descriptors: `n x c`, what trees are told.
        prior_mean: `n`, what a model that was trained before says, in the target's unit; 0 without one.
        prior_std: `n`, how sure it is; 1 without one.
        has_prior: Whether there is one.
        model: The model, for gradients; None without one.
        space: What the pool was taken from; None of measured mixtures.
        constraints: What holds in the space; None of measured mixtures.
        candidate: `n`, numbers of the space's candidates; of measured mixtures their place.
    """

    table: MoleculeTable
    batch: MixtureBatch
    inputs: Tensor
    told: GPInputs
    descriptors: Inputs
    prior_mean: Tensor
    prior_std: Tensor
    has_prior: bool
    model: Ensemble | None
    space: MixtureSpace | None
    constraints: Constraints | None
    candidate: Tensor

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def positions(self) -> Tensor:
        """Amounts, or inputs of measured mixtures, in the unit cube, `n x w`: for plans without a model."""
        x = self.inputs
        if self.space is not None:
            x = MixtureVariables(self.space.solvents, self.space.salts).rows(self.batch, self.table)
        low, width = x.amin(0), x.amax(0) - x.amin(0)
        return (x - low)[:, width > 1e-9] / width[width > 1e-9]

    def frame(self, places: Sequence[int]) -> pd.DataFrame:
        """Return candidates in the words of a training file."""
        return candidate_frame(self.table, self.batch[torch.tensor(places)])


def arena_of_space(
    space: MixtureSpace, mask: MixtureMask | None, constraints: Constraints, model: Ensemble | None
) -> Arena:
    """Return all feasible candidates of a space, as a model sees them if one was trained before.

    Args:
        space: Small enough to be held.
        mask: What leaves candidates out.
        constraints: What holds.
        model: Trained before, on `log10_conductivity_S_cm`.
    """
    kept = [
        torch.from_numpy(~mask.missed(space[start : start + BLOCK]).any(1)).nonzero()[:, 0] + start
        if mask is not None
        else torch.arange(start, min(start + BLOCK, len(space)))
        for start in range(0, len(space), BLOCK)
    ]
    candidate = torch.cat(kept)
    return _arena(space.table, space.at(candidate), model, space, constraints, candidate)


def arena_of_replay(replay: Replay) -> Arena:
    """Return the mixtures of a measured data set, of which no model has been trained before."""
    first = torch.tensor(replay.first)
    return _arena(replay.table, replay.batch[first], None, None, None, first)


def _arena(
    table: MoleculeTable,
    batch: MixtureBatch,
    model: Ensemble | None,
    space: MixtureSpace | None,
    constraints: Constraints | None,
    candidate: Tensor,
) -> Arena:
    batch = batch.to(torch.float64)
    n = len(batch)
    mean, std = torch.zeros(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
    columns, mixed = _amounts(table, batch), torch.zeros(1, n, 1)
    if model is not None:
        columns = columns_of(model.features.of(table), batch)
        predictor = model.bind(table)
        parts = [batch[start : start + BLOCK].to(torch.float32) for start in range(0, n, BLOCK)]
        with torch.no_grad():
            said = [predictor.predict(part) for part in parts]
            mixed = torch.cat([predictor.mixed(part) for part in parts], dim=1)
        mean = torch.cat([one.mean for one in said]).double()
        std = torch.cat([one.std for one in said]).double()
    told = fit_inputs(mixed, columns)
    if model is None:  # a component is a component, however rare
        told = replace(told, column_scale=torch.where(_is_share(table), _SHARE, told.column_scale))
    return Arena(
        table=table,
        batch=batch,
        inputs=told.of(mixed, columns),
        told=told,
        descriptors=_varying(mixture_inputs(table, batch)),
        prior_mean=mean,
        prior_std=std,
        has_prior=model is not None,
        model=model,
        space=space,
        constraints=constraints,
        candidate=candidate,
    )


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


def _is_share(table: MoleculeTable) -> Tensor:
    """Return which of the columns of `_amounts` are shares, bool."""
    return torch.arange(len(table) + 2) < len(table)


def _varying(inputs: Inputs) -> Inputs:
    return inputs[:, np.ptp(inputs, axis=0) > 0]


def truth_of_space(arena: Arena) -> Tensor:
    """Return what the virtual laboratory's law says of each candidate, `n`, log10 of S/cm.

    Raises:
        InputError: If the law does not know a component, or a temperature.
    """
    law = VirtualLaboratory(between=0.0, target=TARGET)
    with torch.no_grad():
        return law.expected(arena.table, arena.batch)
