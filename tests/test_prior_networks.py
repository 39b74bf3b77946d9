"""Networks with random priors: what they keep of these, what they learn, and that draws are their own."""

from __future__ import annotations

import torch

from surrogates.prior_networks import MEMBERS, fit_networks


def _candidates(n: int = 300) -> torch.Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2 - 1


def _fitted(m: int, noise: float = 0.01, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what members say of candidates, the first of which were measured, and what came."""
    x = _candidates()
    y = (2 * x[:m, 0]).sin()
    return fit_networks(x, torch.arange(m), y, noise, seed).members(x), x, y


def test_random_functions_have_mean_0_and_deviation_1_over_the_candidates() -> None:
    said, *_ = _fitted(0)
    assert said.shape == (MEMBERS, 300) and said.dtype == torch.float64
    torch.testing.assert_close(said.mean(1), torch.zeros(MEMBERS).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(said.std(1), torch.ones(MEMBERS).double(), atol=1e-3, rtol=0)


def test_more_rows_leave_less_to_be_known() -> None:
    few, many = _fitted(5)[0], _fitted(80)[0]
    truth = (2 * _candidates()[:, 0]).sin()
    unseen = slice(80, None)
    assert many.std(0)[unseen].mean() < 0.5 * few.std(0)[unseen].mean()
    assert (many.mean(0) - truth)[unseen].abs().mean() < 0.5 * (few.mean(0) - truth)[unseen].abs().mean()


def test_members_learn_from_noise_of_their_own() -> None:
    quiet, loud = _fitted(20, noise=1e-6)[0], _fitted(20, noise=0.5)[0]
    assert loud[:, :20].std(0).mean() > 2 * quiet[:, :20].std(0).mean()


def test_the_seed_alone_decides_and_other_draws_are_left_as_they_were() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one = _fitted(6)[0]
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, _fitted(6)[0])
    assert not torch.equal(one, _fitted(6, seed=1)[0])
