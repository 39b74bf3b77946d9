"""The experiments to do next: out of a pool, with amounts that run freely, or the one and then the other."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from activelearn.acquisition import joint
from activelearn.asked import SHORTLIST, Asked, Proposals, best_of, highest, rows_of
from activelearn.free_amounts import continuous, polished
from activelearn.gradient_proposals import climbed
from activelearn.pool import JointPosterior, choose
from activelearn.screening import Engine, Score, Screen, in_process, run
from surrogates.errors import InputError, Problem
from surrogates.prediction import Prediction

How = Literal["pool", "mixed", "continuous", "gradient"]
_BESIDE = 64
"""Candidates of a finely stepped pool that one mixture may rule out."""
_UNKNOWN = -1e30
"""Score of what is to be avoided."""


def propose(asked: Asked, q: int, how: How, engine: Engine = in_process) -> Proposals:
    """Return the `q` experiments that are worth most, each beside those before it.

    Args:
        asked: What for.
        q: How many.
        how: `pool`, candidates as they are; `mixed`, their components with the best amounts; `continuous`,
            the best amounts of all solvents with the one salt of a space; `gradient`, where gradients lead
            from the best measured mixtures, each within its own components.
        engine: Who scores a pool.

    Raises:
        InputError: If there are not so many candidates, or amounts, that fulfil all.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices: more threads than free cores are many times slower
    try:
        if how == "continuous":
            return continuous(asked, q)
        if how == "gradient":
            best = best_of(asked, asked.experiments.baseline)
            return climbed(asked, q, _shortlist(asked, q, best, engine, runs_freely=True))
        found = _from_pool(asked, q, engine, runs_freely=how == "mixed")
        return found if how == "pool" else polished(asked, found)
    finally:
        torch.set_num_threads(threads)


def _from_pool(asked: Asked, q: int, engine: Engine, runs_freely: bool) -> Proposals:
    """Choose candidates of the space, jointly out of those that are best alone."""
    e = asked.experiments
    base = e.baseline
    best = best_of(asked, base)
    candidates = _shortlist(asked, q, best, engine, runs_freely)
    batch = e.space.at(candidates, torch.float64)
    base = highest(e, base)
    pending = e.pending_rows()
    mean, covariance = joint(e.surrogate, torch.cat([e.rows(batch), pending, e.measured_rows(base)]))
    said = e.predictor.predict(batch)
    noise = float(said.aleatoric.double().mean())
    posterior = JointPosterior(mean, covariance, noise, len(candidates), len(pending))
    chosen = choose(asked.beside(base), posterior, best, q, asked.seed)
    x = e.variables.rows(batch[chosen.places], e.table)
    return Proposals(x, candidates[chosen.places], chosen.values, rows_of(said, chosen.places))


def _shortlist(asked: Asked, q: int, best: float, engine: Engine, runs_freely: bool) -> Tensor:
    """Return the candidates that are best alone, int64, without those that were measured or are pending.

    If amounts run freely, then also without those that no laboratory can tell from them.
    """
    e = asked.experiments
    taken = (_BESIDE if runs_freely else 1) * len(e.known)
    taken += 0 if e.failed is None else _BESIDE * len(e.failed.batch)
    score = asked.acquisition.score(best)
    score = partial(_known_first, score=score) if asked.avoid_unknown else score
    # Without salt, the candidates of all salts are one mixture.
    listed = (max(SHORTLIST, q) + taken) * (len(e.space.salts) if 0 in e.space.molality_mol_kg else 1)
    screen = Screen(e.space, e.model.bind(e.space.table), score, listed, mask=asked.mask)
    *_, standing = run(screen, engine)
    top = standing.top[standing.top["in_domain"]] if asked.avoid_unknown else standing.top
    candidates = torch.from_numpy(top["candidate"].astype(np.int64))
    amounts = e.variables.rows(e.space.at(candidates, torch.float64), e.space.table)
    first = np.sort(np.unique(amounts.numpy(), axis=0, return_index=True)[1])
    amounts = amounts[first]
    is_taken = e.is_beside_known(amounts) if runs_freely else e.is_taken(amounts)
    candidates = candidates[first][~is_taken][: max(SHORTLIST, q)]
    if len(candidates) < q:
        left = f"{len(candidates)} candidate{'s are' * (len(candidates) != 1) or ' is'} left"
        why = ", in the model's domain" if asked.avoid_unknown else ""
        wrong = f"{left} that fulfil all and were not measured{why}; {q} were asked for"
        raise InputError(Problem("space", wrong, "Ask for fewer, widen the space or loosen a constraint."))
    return candidates


def _known_first(prediction: Prediction, score: Score) -> Tensor:
    """Return the score of what the model knows, and a very low one of the rest."""
    return torch.where(prediction.in_domain, score(prediction), _UNKNOWN)
