"""The cathodes to make next, out of a space, beside those that were measured and those that are pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor
from torch.nn.functional import pad

from activelearn.acquisition import Acquisition, Kind
from activelearn.asked import SHORTLIST
from activelearn.chemical_constraints import CompositionVariables
from activelearn.composition_masks import CompositionMask
from activelearn.composition_spaces import CompositionSpace
from activelearn.constraints import is_met, slack
from activelearn.fronts import FrontDraws, choose_for_front, draw, reference_point
from activelearn.pareto import by_pareto_rank
from activelearn.pool import Batch, JointPosterior, choose
from activelearn.screening import Engine, Score, Screen, by_mean, in_process, run
from surrogates.composition_batches import CompositionBatch, CompositionTable
from surrogates.errors import InputError, Problem
from surrogates.prediction import JointPrediction, JointPredictor, Prediction, Predictor

FrontKind = Literal["log-nehvi", "pareto-rank"]
"""Rules for several objectives."""
FRONT_KINDS: tuple[FrontKind, ...] = get_args(FrontKind)
FRONT_WORDS: dict[FrontKind, str] = {
    "log-nehvi": "highest expected gain of hypervolume, with those measured",
    "pareto-rank": "lowest Pareto rank of the predicted means",
}
_SAME = 5e-3
"""Amounts for two anions that are nearer than this are one, as formulas are written to two decimals."""
_BONUS = 1.0
"""Standard deviations by which several objectives are raised for the shortlist. Of 7,928 rocksalts, the 1,000
of best Pareto rank by this held the batch of 8 that the whole pool gives; by the mean it was worth 5 to 12 %
less, by half of it 0 to 3 %, by twice 0 to 1 %."""
_SURELY = 3.0
"""Standard deviations by which what is believed of a measured cathode must lie below another's mean to be
left out."""
_SOME = 16
"""Candidates of whose noise the mean is taken."""
_UNKNOWN = 1e5
"""Taken off the means of what is to be avoided: no objective is so high, and float32 still orders them."""


class ObjectivesModel(Protocol):
    """A fitted model that is asked for some objectives."""

    def bind(self, table: CompositionTable) -> JointPredictor:
        """Return the predictor for compositions of these elements."""


@dataclass(frozen=True)
class Made:
    """Cathodes that were made, of any elements.

    Attributes:
        table: The elements.
        batch: `r` compositions.
        values: `r x o`, what was measured of each objective, NaN where nothing; none of what is pending.
    """

    table: CompositionTable
    batch: CompositionBatch
    values: Tensor


@dataclass(frozen=True)
class CathodePool:
    """The compositions of a space beside others, as one model sees them all.

    Attributes:
        space: The candidates.
        model: What is believed.
        objectives: Names of the `o` objectives.
        mask: Which candidates fulfil the constraints; None if none are asked.
        measured: What was measured; None if nothing.
        pending: What is being made.
        failed: What could not be made: it is not a candidate again.
        has_learnt: Whether the model has learnt from what was measured. What it has not learnt from stands as
            it was measured, for certain; else as the model then believes it, without the noise.
    """

    space: CompositionSpace
    model: ObjectivesModel
    objectives: tuple[str, ...]
    mask: CompositionMask | None = None
    measured: Made | None = None
    pending: Made | None = None
    failed: Made | None = None
    has_learnt: bool = False

    @cached_property
    def table(self) -> CompositionTable:
        """The elements of the space, in its order, then those of others."""
        others = (element for one in self._others for element in one.table.elements)
        return CompositionTable.of(list(dict.fromkeys([*self.space.table.elements, *others])))

    @cached_property
    def predictor(self) -> JointPredictor:
        """The model, bound to the table."""
        return self.model.bind(self.table)

    @cached_property
    def baseline(self) -> Tensor:
        """Which of the measured cathodes could be candidates, int64: by these, others are judged.

        They hold elements of the space alone, its range of lithium and of fluorine, and what is asked.
        """
        if self.measured is None:
            return torch.zeros(0, dtype=torch.int64)
        x, elements = self._amounts(self.measured), self.space.table.elements
        foreign = x[:, len(elements) : -2].sum(1) > _SAME
        own = torch.cat([x[:, : len(elements)], x[:, -2:]], dim=1)
        variables = CompositionVariables(elements)
        could = ~foreign
        for element, ends in (("Li", self.space.lithium), ("F", self.space.fluorine)):
            amount = own[:, variables.column(element)]
            could &= (amount > min(ends) - _SAME) & (amount < max(ends) + _SAME)
        if self.mask is not None:
            asked = self.mask.constraints.asked
            could &= is_met(asked, torch.stack([slack(one, own) for one in asked], dim=-1)).all(-1)
        return could.nonzero()[:, 0]

    @property
    def made(self) -> int:
        """How many cathodes were measured, failed or are pending."""
        return sum(len(one.batch) for one in self._others)

    def is_made(self, batch: CompositionBatch) -> Tensor:
        """Return whether compositions over the table were measured, failed or are pending, `n`, bool."""
        if not self.made:
            return torch.zeros(len(batch), dtype=torch.bool)
        known = torch.cat([self._amounts(one) for one in self._others])
        x = self._variables.rows(batch)
        return torch.cdist(x, known, p=torch.inf).amin(1) < min(_SAME, self.space.step / 2)

    def over_table(self, made: Made) -> CompositionBatch:
        """Return compositions with their cations as rows of the table."""
        place = torch.tensor([self.table.elements.index(element) for element in made.table.elements])
        return replace(made.batch, cations=place[made.batch.cations])

    @property
    def _others(self) -> list[Made]:
        return [one for one in (self.measured, self.pending, self.failed) if one is not None]

    @cached_property
    def _variables(self) -> CompositionVariables:
        return CompositionVariables(self.table.elements)

    def _amounts(self, made: Made) -> Tensor:
        return self._variables.rows(self.over_table(made))


@dataclass(frozen=True)
class AskedCathodes:
    """What cathodes are asked for.

    Attributes:
        pool: The candidates, the model, and what is known.
        acquisition: What makes one worth making: of one objective an `Acquisition`, of several a `FrontKind`.
        avoid_unknown: Whether candidates outside the model's domain are left out.
        seed: Of all draws.
    """

    pool: CathodePool
    acquisition: Acquisition | FrontKind
    avoid_unknown: bool = False
    seed: int = 0

    @property
    def kind(self) -> Kind | FrontKind:
        """Name of the rule."""
        return self.acquisition.kind if isinstance(self.acquisition, Acquisition) else self.acquisition


@dataclass(frozen=True)
class CathodeProposals:
    """`q` cathodes, the first chosen first.

    Attributes:
        candidate: `q`, int64, which of the space's candidates; all feasible, no two the same.
        value: `q`, what each is worth beside those before it; of `pareto-rank` its rank.
        prediction: What the model says of them, `q x o`.
        reference: `o`, what hypervolumes are measured from; None of a rule without any.
    """

    candidate: Tensor
    value: Tensor
    prediction: Prediction
    reference: Tensor | None = None

    def __len__(self) -> int:
        return len(self.candidate)


def propose_cathodes(asked: AskedCathodes, q: int, engine: Engine = in_process) -> CathodeProposals:
    """Return the `q` candidates that are worth most, each beside those before it.

    Those that are best alone, or by the Pareto rank of what they may reach, are shortlisted by a screen; the
    batch is chosen out of them by what the model says of them together. What was measured stands as it was
    measured, or as a model that has learnt from it believes; what was not, of a cathode that lacks an
    objective or is pending, is as the model believes it.

    Args:
        asked: What for.
        q: How many.
        engine: Who scores the space.

    Raises:
        InputError: If there are not so many candidates that fulfil all.
        ValueError: If the rule is for another number of objectives.
    """
    is_of_one = isinstance(asked.acquisition, Acquisition)
    if is_of_one != (len(asked.pool.objectives) == 1):
        raise ValueError(f"{asked.kind} is no rule for {len(asked.pool.objectives)} objectives")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices: more threads than free cores are many times slower
    try:
        candidates, rank = _shortlist(asked, q, engine)
        batch = asked.pool.space.at(candidates)
        if asked.acquisition == "pareto-rank":
            chosen, reference = Batch(torch.arange(q), rank[:q]), None
        else:
            chosen, reference = _chosen(asked, batch, q)
        found = candidates[chosen.places]
        said = asked.pool.predictor.predict(asked.pool.space.at(found))
        return CathodeProposals(found, chosen.values, said, reference)
    finally:
        torch.set_num_threads(threads)


def _shortlist(asked: AskedCathodes, q: int, engine: Engine) -> tuple[Tensor, Tensor]:
    """Return the candidates that are best alone, int64, without those that were made, and their Pareto ranks.

    Of one objective the ranks mean nothing.
    """
    pool = asked.pool
    predictor: Predictor = pool.model.bind(pool.space.table)
    score, names = cast(Score, by_mean), pool.objectives
    if isinstance(asked.acquisition, Acquisition):
        score = partial(_of_one, score=asked.acquisition.score(_best(asked)), known=asked.avoid_unknown)
    else:
        bonus = _BONUS if asked.acquisition == "log-nehvi" else 0.0
        predictor = _Shifted(predictor, bonus, _UNKNOWN if asked.avoid_unknown else 0.0)
    length = max(SHORTLIST, q) + pool.made
    screen = Screen(pool.space, predictor, score, length, None, names, pool.mask)
    *_, standing = run(screen, engine)
    if len(names) > 1:
        top, rank = by_pareto_rank(standing.top, names, length)
    else:
        top, rank = standing.top, np.zeros(len(standing.top))
    candidates = torch.from_numpy(top["candidate"].astype(np.int64))
    free = ~pool.is_made(pool.space.at(candidates))
    if asked.avoid_unknown:
        free &= torch.from_numpy(top["in_domain"])
    candidates = candidates[free]
    if len(candidates) < q:
        left = f"{len(candidates)} candidate{'s are' * (len(candidates) != 1) or ' is'} left"
        why = ", in the model's domain" if asked.avoid_unknown else ""
        wrong = f"{left} that fulfil all and were not measured{why}; {q} were asked for"
        raise InputError(Problem("space", wrong, "Ask for fewer, widen the space or loosen a constraint."))
    most = max(SHORTLIST, q)
    return candidates[:most], torch.from_numpy(rank).double()[free][:most]


def _best(asked: AskedCathodes) -> float:
    """Return the best that was measured of what could be a candidate, else the highest mean of a draw."""
    pool = asked.pool
    if pool.measured is not None and len(pool.baseline):
        values = pool.measured.values[pool.baseline, 0]
        if values.isfinite().any():
            return float(values[values.isfinite()].max())
    generator = torch.Generator().manual_seed(asked.seed)
    drawn = torch.randint(len(pool.space), (SHORTLIST,), generator=generator)
    return float(pool.predictor.predict(pool.space.at(drawn)).mean.max())


def _chosen(asked: AskedCathodes, batch: CompositionBatch, q: int) -> tuple[Batch, Tensor | None]:
    """Return the batch out of a shortlist, and what hypervolumes are measured from, where they are."""
    pool, acquisition = asked.pool, asked.acquisition
    others = [] if pool.pending is None else [pool.over_table(pool.pending)]
    pending, values = sum(map(len, others)), torch.zeros(0, len(pool.objectives), dtype=torch.float64)
    if pool.measured is not None:
        rows = _leaders(pool, pool.measured)
        values = pool.measured.values[rows].double()
        others.append(pool.over_table(pool.measured)[rows])
    said = pool.predictor.jointly(_joined([batch, *others]))
    said = said if pool.has_learnt else _as_measured(said, values)
    n = len(batch)
    if isinstance(acquisition, Acquisition):
        if not len(values) and acquisition.kind == "log-nei":
            acquisition = replace(acquisition, kind="log-ei")
        covariance = said.covariance(0)
        noise = float(pool.predictor.predict(batch[:_SOME]).aleatoric.double().mean())
        # Members say nothing of noise, and a few of them are soon known: what is left is their rounding.
        noise = max(noise, 1e-6 * float(covariance.diagonal()[:n].mean()))
        posterior = JointPosterior(said.mean[:, 0], covariance, noise, n, pending)
        return choose(acquisition, posterior, _best(asked), q, asked.seed), None
    reference = reference_point(said.mean[:n])
    if len(values):
        reference = torch.minimum(reference, reference_point(said.mean[n + pending :]))
    return choose_for_front(FrontDraws(draw(said, asked.seed), n, reference), q), reference


def _leaders(pool: CathodePool, measured: Made) -> Tensor:
    """Return the rows by which others are judged, int64: without those that are surely not the best.

    A model that has learnt may believe less, or more, than was measured. Each composition stands once.
    """
    if not pool.has_learnt:
        return pool.baseline[_may_lead(measured.values[pool.baseline])]
    batch = pool.over_table(measured)
    x = CompositionVariables(pool.table.elements).rows(batch)[pool.baseline]
    first = torch.from_numpy(np.unique(x.numpy().round(6), axis=0, return_index=True)[1]).sort().values
    rows = pool.baseline[first]
    said = pool.predictor.predict(batch[rows])
    highest = said.mean + _SURELY * said.epistemic.sqrt()
    is_beaten = (said.mean[None] > highest[:, None]).all(-1).any(1)
    return rows[~is_beaten]


def _may_lead(values: Tensor) -> Tensor:
    """Return whether measured values may be on a front, `r`: where one lacks, or none is better."""
    may_lead = ~values.isfinite().all(1)
    may_lead[~may_lead] = is_non_dominated(values[~may_lead])
    return may_lead


def _as_measured(said: JointPrediction, values: Tensor) -> JointPrediction:
    """Return what is believed with the last rows as they were measured, where they were: for certain."""
    mean, apart, first = said.mean.clone(), said.apart.clone(), len(said.mean) - len(values)
    there = values.isfinite()
    mean[first:] = torch.where(there, values, mean[first:])
    apart[:, first:] = apart[:, first:].masked_fill(there, 0.0)
    return JointPrediction(mean, apart)


def _joined(parts: Sequence[CompositionBatch]) -> CompositionBatch:
    """Return compositions one after the other, with as many slots as the widest needs."""
    width = max(part.cations.shape[1] for part in parts)
    return CompositionBatch(
        torch.cat([pad(part.cations, (0, width - part.cations.shape[1])) for part in parts]),
        torch.cat([pad(part.weights, (0, width - part.weights.shape[1])) for part in parts]),
        torch.cat([part.fluorine for part in parts]),
    )


def _of_one(prediction: Prediction, score: Score, known: bool) -> Tensor:
    """Return the score of the one objective; a very low one of what the model does not know, where asked."""
    one = Prediction(
        prediction.mean[:, 0],
        prediction.epistemic[:, 0],
        prediction.aleatoric[:, 0],
        prediction.in_domain,
        prediction.interval_factor,
    )
    worth = score(one)
    return torch.where(one.in_domain, worth, -1e30) if known else worth


@dataclass(frozen=True)
class _Shifted:
    """Says the mean plus some standard deviations, and of what the model does not know far less.

    Attributes:
        predictor: The model.
        bonus: How many standard deviations of what it does not know are added.
        loss: What is taken off outside its domain.
    """

    predictor: Predictor
    bonus: float
    loss: float

    @property
    def target(self) -> str:
        """Names of the objectives."""
        return self.predictor.target

    def predict(self, batch: Any) -> Prediction:
        """Return the prediction with another mean."""
        said = self.predictor.predict(batch)
        lower = torch.where(said.in_domain[:, None], 0.0, self.loss)
        return replace(said, mean=said.mean + self.bonus * said.epistemic.sqrt() - lower)
