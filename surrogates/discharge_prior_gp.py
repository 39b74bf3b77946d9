"""Gaussian processes over what a discharge model says of cathodes: measurements correct each objective.

As for mixtures (`prior_gp`), an objective is `mean(x) + offset + std(x) g(x)` with the model's mean and
standard deviation. `g` is a process on principal directions of the members' embeddings beside the amounts of
the elements. The objectives are independent: what a measurement of one tells of another is not used.

The variance of five networks is that of a sample with four degrees of freedom, nearly 0 where they agree by
chance. Once an objective was measured it is drawn towards the median variance of the candidates.

Source: Smyth, Stat. Appl. Genet. Mol. Biol. 3, 3 (2004), who draws variances of small samples together so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.discharge_objectives import EmbeddedPredictor
from surrogates.gaussian_process import GaussianProcess
from surrogates.gp_fitting import fit_inputs, fit_process
from surrogates.gp_predictor import GPInputs
from surrogates.prediction import LEAST_VARIANCE, JointPrediction, Prediction
from surrogates.prior_gp import FEWEST_FITTED, expected_process, offset_of, spread_of

_ROWS = 4096
"""Compositions that are compared with all measured ones at once."""
_JITTER = 1e-6
"""Added to variances, of a prior variance of 1, so that a covariance has a root."""
_USUAL = 8.0
"""Degrees of freedom that the median variance of the candidates counts for. Four of the five networks stood
below a process, 0.9 times the fifth (as published, 2 % of noise) was measured: with 40 of 700 rocksalts of
`drx-proposals` the error of the energy of 200 others was 0.72 of their spread so, 0.90 where the standard
deviation was kept above half of its median alone, and 1.03 before; with amounts alone 0.79."""


class EmbeddedModel(Protocol):
    """A fitted discharge model that is asked for some objectives."""

    def bind(self, table: CompositionTable) -> EmbeddedPredictor:
        """Return the predictor for compositions of these elements."""


@dataclass(frozen=True)
class ObjectiveProcess:
    """What measurements of one objective have told.

    Attributes:
        process: Of the distance from the model's mean and offset, in `spread` of its standard deviations.
        offset: Of all measurements from the model, in the objective's unit.
        spread: Root mean square of that distance over the measured rows, drawn towards 1.
        usual: Median variance of the model over the candidates, in the unit squared.
        own: Share of the model's own variance, beside which the usual one has the rest; 1 before anything was
            measured.
    """

    process: GaussianProcess
    offset: float
    spread: float
    usual: float
    own: float

    def scale(self, said: Prediction, objective: int) -> Tensor:
        """Return what the process is multiplied with, `n`, float64."""
        return self.spread * _std(_variance(said)[:, objective], self.usual, self.own)


@dataclass(frozen=True)
class DischargePriorGP:
    """Processes over a discharge model, for compositions of any elements.

    Attributes:
        prior: The model, asked for `o` objectives.
        elements: Whose amounts the processes are told; of others they are told by the embedding alone.
        inputs: What the processes are told of a composition.
        processes: `o`.
    """

    prior: EmbeddedModel
    elements: tuple[str, ...]
    inputs: GPInputs
    processes: tuple[ObjectiveProcess, ...]

    def bind(self, table: CompositionTable) -> DischargePriorPredictor:
        """Return the predictor for compositions of these elements."""
        columns = _columns_of(table, self.elements)
        return DischargePriorPredictor(self.prior.bind(table), columns, self.inputs, self.processes)


@dataclass(frozen=True)
class DischargePriorPredictor:
    """Processes over a discharge model, bound to the elements of a space.

    Attributes:
        prior: The model, bound to the same.
        columns: `u`, int64, which amount each element of the table is; the last is none.
        inputs: What the processes are told of a composition.
        processes: `o`, float64.
    """

    prior: EmbeddedPredictor
    columns: Tensor
    inputs: GPInputs
    processes: tuple[ObjectiveProcess, ...]

    @property
    def target(self) -> str:
        """Names of the objectives."""
        return self.prior.target

    def inputs_of(self, embedding: Tensor, batch: CompositionBatch) -> Tensor:
        """Return the inputs of the processes, `n x d`, float64.

        Args:
            embedding: `K x n x width`, as the model embeds the compositions.
            batch: `n` compositions.
        """
        return self.inputs.of(embedding, _amounts(batch, self.columns, len(self.inputs.column_scale)))

    def predict(self, batch: CompositionBatch) -> Prediction:
        """Return the prediction for each composition, `n x o`, float32, each in its objective's unit.

        Epistemic is what more measurements would mend, aleatoric their noise.
        """
        with torch.no_grad():
            embedding = self.prior.embed(batch)
            said, x = self.prior.says(embedding, batch), self.inputs_of(embedding, batch)
            columns = []
            for place, one in enumerate(self.processes):
                parts = [one.process.mean_and_variance(some) for some in x.split(_ROWS)]
                mean, variance = (torch.cat(part) for part in zip(*parts, strict=True))
                scale = one.scale(said, place)
                at = said.mean[:, place].double() + one.offset + scale * mean
                columns.append((at, scale.square() * variance, scale.square() * one.process.noise))
            mean, epistemic, aleatoric = (
                torch.stack(part, dim=-1).float() for part in zip(*columns, strict=True)
            )
            return Prediction(mean, epistemic, aleatoric, said.in_domain, said.interval_factor)

    def jointly(self, batch: CompositionBatch) -> JointPrediction:
        """Return what the processes say of the compositions together, with their covariance.

        It takes the cube of `n` steps for each objective.
        """
        n, o = len(batch), len(self.processes)
        with torch.no_grad():
            embedding = self.prior.embed(batch)
            said, x = self.prior.says(embedding, batch), self.inputs_of(embedding, batch)
            mean = said.mean.double().clone()
            apart = mean.new_zeros(o, n, n, o)
            for place, one in enumerate(self.processes):
                away, covariance = one.process.mean_and_covariance(x)
                root = torch.linalg.cholesky(covariance + _JITTER * torch.eye(n, dtype=x.dtype))
                scale = one.scale(said, place)
                mean[:, place] += one.offset + scale * away
                apart[place, :, :, place] = (scale[:, None] * root).T
            return JointPrediction(mean, apart.flatten(0, 1))


def fit_discharge_prior_gp(
    prior: EmbeddedModel,
    measured: tuple[CompositionTable, CompositionBatch],
    values: Tensor,
    around: tuple[CompositionTable, CompositionBatch],
    seed: int,
) -> DischargePriorGP:
    """Fit a process for each objective to measurements that the model has not learnt from.

    What it says does not depend on the order of the rows.

    Args:
        prior: The model, asked for `o` objectives.
        measured: `r` cathodes, and their elements.
        values: `r x o`, each in its objective's unit; NaN where it was not measured: such a row is left out
            of that objective alone.
        around: Some candidates, unmeasured, of which is learnt what varies; and their elements.
        seed: Of the draw of rows from which lengthscales are learnt, of many.
    """
    elements = tuple(sorted({*measured[0].elements, *around[0].elements}))
    order = _canonical(_amounts(measured[1], _columns_of(measured[0], elements), len(elements) + 1), values)
    values = values[order].double()
    parts = (measured[0], measured[1][order]), around
    embeddings, saids, amounts = zip(*(_told(prior, elements, *one) for one in parts), strict=True)
    inputs = fit_inputs(torch.cat(embeddings, dim=1), torch.cat(amounts))
    x, said = inputs.of(embeddings[0], amounts[0]), saids[0]
    own = 1 / (1 + _USUAL / prior.bind(around[0]).freedom)
    usual = _variance(saids[1]).median(0).values.tolist()
    processes = tuple(
        _of_objective(x, said, values[:, place], place, usual[place], own, seed)
        for place in range(values.shape[1])
    )
    return DischargePriorGP(prior, elements, inputs, processes)


def _of_objective(
    x: Tensor, said: Prediction, values: Tensor, place: int, usual: float, own: float, seed: int
) -> ObjectiveProcess:
    """Return what the measurements of one objective tell; of none, nothing but what the model says."""
    there = values.isfinite()
    x, difference = x[there], values[there] - said.mean[there, place].double()
    if not len(x):
        return ObjectiveProcess(expected_process(x, difference), 0.0, 1.0, usual, 1.0)
    std = _std(_variance(said)[there, place], usual, own)
    offset = offset_of(difference, std)
    distance = (difference - offset) / std
    spread = spread_of(distance)
    y = distance / spread
    process = fit_process(x, y, seed, "exact") if len(x) >= FEWEST_FITTED else expected_process(x, y)
    return ObjectiveProcess(process, offset, spread, usual, own)


def _variance(said: Prediction) -> Tensor:
    """Return the variance of a measurement, `n x o`, float64."""
    return said.epistemic.double() + said.aleatoric.double()


def _std(variance: Tensor, usual: float, own: float) -> Tensor:
    """Return standard deviations, never 0, of variances of which so much is their own."""
    return (own * variance + (1 - own) * usual).clamp_min(LEAST_VARIANCE).sqrt()


def _told(
    prior: EmbeddedModel, elements: tuple[str, ...], table: CompositionTable, batch: CompositionBatch
) -> tuple[Tensor, Prediction, Tensor]:
    """Return embedding, prediction and amounts of compositions."""
    predictor = prior.bind(table)
    with torch.no_grad():
        embedding = predictor.embed(batch)
        amounts = _amounts(batch, _columns_of(table, elements), len(elements) + 1)
        return embedding, predictor.says(embedding, batch), amounts


def _columns_of(table: CompositionTable, elements: tuple[str, ...]) -> Tensor:
    """Return which amount each element of a table is, `u`, int64; of others the column behind the last."""
    places = {element: place for place, element in enumerate(elements)}
    return torch.tensor([places.get(element, len(elements) + 1) for element in table.elements])


def _amounts(batch: CompositionBatch, columns: Tensor, width: int) -> Tensor:
    """Return amounts for two anions, `n x width`, float64: of the elements, then of fluorine.

    Args:
        batch: `n` compositions.
        columns: `u`, see `_columns_of`.
        width: Number of the elements, and 1.
    """
    weights = 2 * batch.weights.double()
    amounts = weights.new_zeros(len(batch), width + 1).scatter_add(1, columns[batch.cations], weights)
    amounts[:, width - 1] = 2 * batch.fluorine.double()
    return amounts[:, :width]


def _canonical(amounts: Tensor, values: Tensor) -> Tensor:
    """Return an order of rows that is the same whichever they came in."""
    keys = torch.cat([values.double().flip(1), amounts.flip(1)], dim=1)
    return torch.from_numpy(np.lexsort(keys.T.numpy()))
