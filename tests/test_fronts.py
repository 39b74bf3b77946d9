"""The greedy choice for several objectives, against BoTorch's qLogNEHVI of whole batches."""

from __future__ import annotations

import math

import pytest
import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models.model import Model
from botorch.posteriors.ensemble import EnsemblePosterior
from botorch.posteriors.posterior import Posterior
from botorch.sampling.base import MCSampler
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn import fronts
from activelearn.fronts import FrontDraws, choose_for_front, draw, hypervolume_scatter, reference_point
from surrogates.prediction import JointPrediction


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """BoTorch compiles a kernel for the class when it is made; its sums in Python are the same."""
    monkeypatch.setattr(logei, "_load_attempted", True)


class Cached(Model):
    """Draws of all candidates, as a model whose X is a place."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values

    @property
    def num_outputs(self) -> int:
        return self.values.shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size()

    def posterior(self, X: Tensor, *args: object, **kwargs: object) -> Posterior:
        return EnsemblePosterior(self.values[:, X[..., 0].long()].movedim(0, -3))


class AllDraws(MCSampler):
    """Gives each of the draws once."""

    def forward(self, posterior: EnsemblePosterior) -> Tensor:
        return posterior.values.movedim(-3, 0)

    def _update_base_samples(self, posterior: Posterior, base_sampler: MCSampler) -> None:
        pass


def _draws(n: int, known: int, objectives: int, seed: int = 0, size: int = 32) -> FrontDraws:
    generator = torch.Generator().manual_seed(seed)
    shape = size, n + known, objectives
    mean = torch.randn(shape[1:], generator=generator, dtype=torch.float64)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = 10.0 ** torch.arange(objectives)  # objectives are in units of their own
    return FrontDraws((mean + 0.3 * noise) * scale, n, -0.8 * scale)


def _botorch(draws: FrontDraws) -> qLogNoisyExpectedHypervolumeImprovement:
    """Return the acquisition function of whole batches, without their parts before."""
    n, total = draws.candidates, draws.values.shape[1]
    scale = draws.values[:, :n].flatten(0, 1).std(0, unbiased=False)
    return qLogNoisyExpectedHypervolumeImprovement(
        Cached((draws.values - draws.reference) / scale),
        torch.zeros(len(scale)).double(),
        torch.arange(n, total).double()[:, None],
        sampler=AllDraws(torch.Size([len(draws.values)])),
        cache_root=False,
    )


@pytest.mark.parametrize(("objectives", "known"), [(2, 0), (2, 7), (3, 4)])
def test_choices_are_those_of_botorch_on_whole_batches(objectives: int, known: int) -> None:
    draws = _draws(40, known, objectives)
    batch = choose_for_front(draws, 4)
    function, scale = _botorch(draws), draws.values[:, :40].flatten(0, 1).std(0, unbiased=False)
    chosen: list[int] = []
    for _ in range(4):
        left = [one for one in range(40) if one not in chosen]
        whole = torch.tensor([[*chosen, one] for one in left]).double()[..., None]
        with torch.no_grad():
            worth = function(whole)
        chosen.append(left[int(worth.argmax())])
    assert batch.places.tolist() == chosen
    together = batch.values.logsumexp(0) - scale.log().sum()
    assert float(together) == pytest.approx(float(worth.max()), abs=2e-3)  # its minimum is smooth


def test_values_are_the_hypervolume_that_each_adds() -> None:
    draws = _draws(30, 5, 2, seed=3)
    batch = choose_for_front(draws, 5)
    measure = Hypervolume(draws.reference)

    def mean_volume(places: list[int]) -> float:
        volumes = [
            measure.compute(front[is_non_dominated(front)])
            for one in draws.values
            for front in [torch.cat([one[places], one[30:]])]
        ]
        return math.fsum(volumes) / len(volumes)

    places = batch.places.tolist()
    for place in range(5):
        added = mean_volume(places[: place + 1]) - mean_volume(places[:place])
        assert math.exp(float(batch.values[place])) == pytest.approx(added, rel=1e-6)


def test_what_adds_nothing_is_chosen_by_how_near_it_comes() -> None:
    values = torch.tensor([[0.1, 0.1], [0.7, 0.8], [0.6, 0.7], [1.0, 1.0]], dtype=torch.float64)
    draws = FrontDraws(values.expand(4, 4, 2), 3, torch.zeros(2).double())
    batch = choose_for_front(draws, 3)
    assert batch.places.tolist() == [1, 2, 0]
    assert batch.values.isfinite().all()
    assert (batch.values < -5).all()


def test_so_many_draws_that_few_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = _draws(50, 6, 2)
    expected = choose_for_front(draws, 6)
    monkeypatch.setattr(fronts, "_AT_ONCE", 1000)
    assert choose_for_front(draws, 6).places.tolist() == expected.places.tolist()


@given(n=st.integers(1, 20), known=st.integers(0, 4), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_batches_are_distinct_and_never_add_more_than_before(
    n: int, known: int, share: float, seed: int
) -> None:
    draws, q = _draws(n, known, 2, seed, size=8), max(1, round(share * n))
    batch = choose_for_front(draws, q)
    assert len(set(batch.places.tolist())) == q
    assert batch.values.isfinite().all()
    gains = batch.values.exp()
    assert (gains.diff() <= 1e-4 * gains[0]).all()
    assert torch.equal(choose_for_front(draws, q).values, batch.values)


def test_too_few_candidates() -> None:
    with pytest.raises(ValueError, match="3 candidates are fewer than 4"):
        choose_for_front(_draws(3, 0, 2), 4)


def test_draws_have_the_moments_of_what_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "_DRAWS", 2**14)
    generator = torch.Generator().manual_seed(0)
    apart = torch.randn(3, 4, 2, generator=generator, dtype=torch.float64)
    said = JointPrediction(torch.arange(8.0).double().view(4, 2), apart)
    drawn = draw(said, seed=0)
    assert drawn.shape == (2**14, 4, 2)
    torch.testing.assert_close(drawn.mean(0), said.mean, atol=0.01, rtol=0)
    flat = apart.flatten(1)
    torch.testing.assert_close(drawn.flatten(1).T.cov(), flat.T @ flat, atol=0.05, rtol=0.01)
    torch.testing.assert_close(said.covariance(1), apart[..., 1].T @ apart[..., 1])
    assert torch.equal(draw(said, seed=0), drawn)


def test_fronts_are_measured_from_a_tenth_below_their_worst() -> None:
    values = torch.tensor([[0.0, 10.0], [1.0, 0.0], [-9.0, -9.0]], dtype=torch.float64)
    assert reference_point(values).tolist() == pytest.approx([-0.1, -1.0])
    assert reference_point(values[:1] + 1).tolist() == pytest.approx([0.9, 9.9])


def test_the_scatter_of_a_front_by_hand() -> None:
    front = torch.tensor([[700.0, 0.6], [600.0, 0.9]], dtype=torch.float64)
    noise_of = torch.tensor([7.0, 0.01], dtype=torch.float64)
    reference = torch.tensor([590.0, 0.57], dtype=torch.float64)
    # Two rectangles that overlap.
    scatter, whole = hypervolume_scatter(front, noise_of, reference)
    assert whole == pytest.approx(110 * 0.03 + 10 * 0.33 - 10 * 0.03)
    a, b, noise = (110, 0.03), (10, 0.33), noise_of.tolist()
    by_first_order = (
        (a[1] * noise[0]) ** 2
        + ((a[0] - b[0]) * noise[1]) ** 2
        + ((b[1] - a[1]) * noise[0]) ** 2
        + (b[0] * noise[1]) ** 2
    ) ** 0.5
    assert scatter == pytest.approx(by_first_order, rel=0.3)
    assert hypervolume_scatter(front, 0 * noise_of, reference)[0] < 1e-5
    alone, one = hypervolume_scatter(front[:1], noise_of, reference)
    assert min(alone, one) > 0
