"""Gradients from the best that was measured: higher along each path, within its components, all new."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from activelearn.acquisition import Acquisition
from activelearn.asked import Asked
from activelearn.experiments import Listed
from activelearn.free_amounts import function_of
from activelearn.gradient_proposals import _starts
from activelearn.propose import propose
from tests.test_propose import ONE_SALT, SPACE, _asked, _check


def _worth(asked: Asked, x: torch.Tensor) -> torch.Tensor:
    e = asked.experiments
    with torch.no_grad():
        worth: torch.Tensor = function_of(asked, x[:0])(e.rows(e.mixtures(x)).unsqueeze(-2))
    return worth


@pytest.mark.parametrize("kind", ["mean", "ucb"])
def test_a_gradient_leads_up_from_the_best_that_was_measured(kind: str) -> None:
    asked = _asked("mean", ONE_SALT, measured=6)
    asked = replace(asked, acquisition=Acquisition("ucb" if kind == "ucb" else "mean", 1.0))
    e = asked.experiments
    assert e.measured is not None
    best = e.baseline[e.measured.values[e.baseline].argsort(descending=True)]
    starts = e.measured_amounts(best)[:1]
    found = propose(asked, 1, "gradient")

    _check(asked, found, 1)
    assert found.candidate.tolist() == [-1]
    assert torch.equal(found.x[:, :-1] > 0, starts[:, :-1] > 0)
    assert found.value[0] > _worth(asked, starts)[0]
    torch.testing.assert_close(found.value, _worth(asked, found.x))


@pytest.mark.parametrize("measured", [0, 1, 12])
def test_so_many_starts_give_so_many_proposals(measured: int) -> None:
    asked = _asked("mean", ONE_SALT, learns=measured > 0, measured=measured, pending=1)
    found = propose(asked, 4, "gradient")
    _check(asked, found, 4)
    torch.testing.assert_close(found.value, _worth(asked, found.x))
    assert torch.equal(propose(asked, 4, "gradient").x, found.x)


def test_before_anything_was_measured_starts_lie_apart() -> None:
    asked = _asked("mean", measured=0, learns=False)
    e = asked.experiments
    pool = e.variables.rows(SPACE.at(torch.arange(len(SPACE)), torch.float64), SPACE.table)
    starts = _starts(asked, 5, pool)
    width = torch.tensor([1.0] * 5 + [1.5, 1.5, 1.0], dtype=torch.float64)
    assert torch.equal(starts[0], pool[0])
    assert (torch.cdist(starts / width, starts / width, p=torch.inf) + torch.eye(5) > 0.1).all()


def test_a_measured_mixture_that_is_no_candidate_s_like_is_no_start() -> None:
    asked = _asked("mean", ONE_SALT, measured=0, learns=False)
    e = asked.experiments
    pure = torch.tensor([[1.0, 0.0, 0.0, 1.0, 298.15]], dtype=torch.float64)
    listed = Listed(e.table, e.mixtures(pure), torch.ones(1, dtype=torch.float64))
    known = replace(asked, experiments=replace(e, measured=listed))
    found = propose(known, 2, "gradient")
    assert (found.x[:, :3] > 0.2 - 1e-6).all()


def test_where_nothing_can_vary_candidates_stand() -> None:
    space = replace(SPACE, solvents_per_mixture=(1,), fraction_step=None, molality_mol_kg=(1.0,))
    asked = _asked("mean", space, constraints=(), measured=2, learns=False)
    found = propose(asked, 3, "gradient")
    assert (found.candidate >= 0).all()
    assert (found.value.diff() <= 0).all()
