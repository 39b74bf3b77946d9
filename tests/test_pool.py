"""A batch out of a pool: fast choices against slow loops over the same draws, and BoTorch's own value."""

from __future__ import annotations

import pytest
import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.sampling.normal import SobolQMCNormalSampler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn import pool
from activelearn.acquisition import KINDS, Acquisition, Kind, Known
from activelearn.pool import JointPosterior, choose, choose_of_draws


def _posterior(
    n: int = 30, pending: int = 0, measured: int = 0, seed: int = 0, noise: float = 0.1
) -> JointPosterior:
    generator = torch.Generator().manual_seed(seed)
    total = n + pending + measured
    root = torch.randn(total, 6, generator=generator, dtype=torch.float64)
    mean = torch.randn(total, generator=generator, dtype=torch.float64)
    covariance = root @ root.T / 6 + 0.05 * torch.eye(total, dtype=torch.float64)
    return JointPosterior(mean, covariance, noise, n, pending)


def _slowly(draws: Tensor, floor: Tensor, waiting: Tensor, q: int, hit: bool) -> list[int]:
    """Choose by looking at all draws of every batch again."""
    chosen: list[int] = []
    for _ in range(q):
        worth = []
        for one in range(draws.shape[1]):
            if one in chosen:
                worth.append(-1.0)
                continue
            batch = torch.cat([waiting, draws[:, [*chosen, one]]], dim=1).amax(1)
            gain = (batch > floor).double() if hit else (batch - floor).clamp_min(0)
            worth.append(float(gain.mean()))
        chosen.append(max(range(len(worth)), key=worth.__getitem__))
    return chosen


@pytest.mark.parametrize(("kind", "measured"), [("log-ei", 0), ("log-nei", 5), ("pi", 0)])
@pytest.mark.parametrize("pending", [0, 3])
def test_choices_are_those_of_a_slow_loop(kind: Kind, measured: int, pending: int) -> None:
    posterior = _posterior(pending=pending, measured=measured)
    chosen = choose(Acquisition(kind), posterior, best=0.5, q=6, seed=1).places.tolist()
    draws = pool._draws(posterior, 1)
    floor = draws[:, 30 + pending :].amax(1) if measured else torch.full((len(draws),), 0.5).double()
    waiting = draws[:, 30 : 30 + pending]
    assert chosen == _slowly(draws[:, :30], floor, waiting, 6, hit=kind == "pi")


def test_values_sum_to_what_botorch_says_of_the_batch() -> None:
    posterior = _posterior()
    batch = choose(Acquisition("log-ei"), posterior, best=1.0, q=5, seed=0)
    model = Known(posterior.mean, posterior.covariance)
    function = qLogExpectedImprovement(model, 1.0, SobolQMCNormalSampler(torch.Size([2**14]), 7))
    expected = float(function(batch.places.double().view(1, -1, 1)).exp())
    assert float(batch.values.exp().sum()) == pytest.approx(expected, rel=0.05)
    assert (batch.values.diff() <= 1e-9).all()


def test_a_bound_shrinks_as_if_those_before_had_been_measured() -> None:
    posterior = _posterior(pending=2)
    batch = choose(Acquisition("ucb", kappa=2.0), posterior, best=0.0, q=4, seed=0)
    seen = [30, 31]
    for place, value in zip(batch.places.tolist(), batch.values.tolist(), strict=True):
        known = posterior.covariance[seen][:, seen] + 0.1 * torch.eye(len(seen), dtype=torch.float64)
        across = posterior.covariance[:, seen]
        left = posterior.covariance.diagonal() - (across @ known.inverse() * across).sum(1)
        bound = (posterior.mean + 2 * left.sqrt())[:30]
        bound[[one for one in seen if one < 30]] = -torch.inf
        assert place == int(bound.argmax())
        assert value == pytest.approx(float(bound[place]), rel=1e-6)
        seen.append(place)


def test_exploration_looks_at_no_mean_and_the_mean_at_nothing_else() -> None:
    posterior = _posterior()
    explored = choose(Acquisition("exploration"), posterior, best=0.0, q=3, seed=0)
    assert int(explored.places[0]) == int(posterior.covariance.diagonal().argmax())
    greedy = choose(Acquisition("mean"), posterior, best=0.0, q=3, seed=0)
    assert greedy.places.tolist() == posterior.mean.argsort(descending=True)[:3].tolist()
    assert torch.equal(greedy.values, posterior.mean[greedy.places])


def test_thompson_takes_the_best_of_a_draw_each() -> None:
    posterior = _posterior()
    batch = choose(Acquisition("thompson"), posterior, best=0.0, q=30, seed=4)
    draws = pool._draws(posterior, 4)[:, :30]
    assert int(batch.places[0]) == int(draws[0].argmax())
    assert sorted(batch.places.tolist()) == list(range(30))


@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 25),
    pending=st.integers(0, 3),
    share=st.floats(0, 1),
    seed=st.integers(0, 5),
)
def test_batches_are_distinct_and_the_same_again(
    kind: Kind, n: int, pending: int, share: float, seed: int
) -> None:
    posterior, q = _posterior(n, pending, measured=2, seed=seed), max(1, round(share * n))
    one, other = (choose(Acquisition(kind), posterior, best=0.0, q=q, seed=seed) for _ in range(2))
    assert len(set(one.places.tolist())) == q
    assert one.values.isfinite().all()
    assert torch.equal(one.places, other.places)
    assert torch.equal(one.values, other.values)


def test_too_few_candidates() -> None:
    with pytest.raises(ValueError, match="3 candidates are fewer than 4"):
        choose(Acquisition("mean"), _posterior(3), best=0.0, q=4, seed=0)


def test_draws_that_are_given_choose_as_those_of_a_posterior_do() -> None:
    """Improvement is BoTorch's on an ensemble; a draw each has its best."""
    values = torch.randn(12, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    batch = choose_of_draws("log-ei", values, best=0.5, q=1)
    gain = (values - 0.5).clamp_min(0).mean(0)
    assert float(gain[batch.places[0]]) == pytest.approx(float(gain.max()), rel=1e-3)
    assert float(batch.values[0].exp()) == pytest.approx(float(gain.max()), rel=0.02)
    two = choose_of_draws("log-ei", values, best=0.5, q=2).places
    assert two[0] == batch.places[0]
    both = torch.maximum(values, values[:, two[:1]])
    more = (both - 0.5).clamp_min(0).mean(0)
    assert float(more[two[1]]) >= 0.99 * float(more.max())
    drawn = choose_of_draws("thompson", values, best=0.5, q=3).places.tolist()
    taken: list[int] = []
    for one in values[:3]:
        taken.append(int(one.index_fill(0, torch.tensor(taken, dtype=torch.int64), -9.0).argmax()))
    assert drawn == taken
    with pytest.raises(ValueError, match="40 candidates are fewer than 41"):
        choose_of_draws("thompson", values, best=0.5, q=41)
