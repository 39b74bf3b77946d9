"""Stacked networks against a loop over them, and the loss against hand-worked cases."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from surrogates.members import Members, beta_nll


class Line(nn.Module):
    """A network with a parameter, a buffer and two methods."""

    def __init__(self, slope: float, width: int = 3) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.linspace(slope, slope + 1, width))
        self.register_buffer("offset", torch.tensor(10 * slope))
        self.offset: Tensor

    def rise(self, x: Tensor) -> Tensor:
        return self.slope * x + self.offset

    def both(self, own: Tensor, shared: Tensor, power: int) -> tuple[Tensor, Tensor]:
        return self.rise(own), (self.slope * shared) ** power


LINES = [Line(slope) for slope in (1.0, 2.0, -0.5)]
X = torch.tensor([0.1, 0.2, 0.3])


def test_each_is_a_loop_over_members() -> None:
    together = Members.of(LINES).each("rise", X)
    torch.testing.assert_close(together, torch.stack([line.rise(X) for line in LINES]), rtol=1e-6, atol=1e-6)


def test_own_arguments_come_before_shared_ones() -> None:
    own = torch.arange(9.0).reshape(3, 3)
    rise, power = Members.of(LINES).each("both", X, 2, mine=(own,))
    looped = [line.both(mine, X, 2) for line, mine in zip(LINES, own, strict=True)]
    torch.testing.assert_close(rise, torch.stack([one for one, _ in looped]), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(power, torch.stack([two for _, two in looped]), rtol=1e-6, atol=1e-6)


def test_a_slice_is_some_of_the_members() -> None:
    members = Members.of(LINES)
    assert [len(members), len(members[1:]), len(members[:1])] == [3, 2, 1]
    torch.testing.assert_close(members[1:].each("rise", X), members.each("rise", X)[1:])
    assert not any(tensor.requires_grad for tensor in members[1:].parameters.values())


def test_the_networks_themselves_are_left_alone() -> None:
    members = Members.of(LINES)
    members.each("rise", X).sum().backward()
    assert members.parameters["slope"].grad is not None
    assert all(line.slope.grad is None for line in LINES)


def test_state_and_back_are_the_same_members() -> None:
    members = Members.of(LINES)
    state = members.state()
    assert set(state) == {"slope", "offset"}
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in state.values())
    blank = Members.of([Line(0.0)] * 3)
    assert torch.equal(blank.with_state(state).each("rise", X), members.each("rise", X))


def test_a_state_without_a_name_is_refused() -> None:
    members = Members.of(LINES)
    with pytest.raises(KeyError, match="offset"):
        members.with_state({"slope": torch.zeros(3, 3)})


def test_a_state_of_another_shape_is_refused() -> None:
    members = Members.of(LINES)
    with pytest.raises(ValueError, match=r"^slope is \(3, 4\), not \(3, 3\)$"):
        members.with_state({"slope": torch.zeros(3, 4), "offset": torch.zeros(3)})


def test_at_beta_0_the_loss_is_the_gaussian_likelihood() -> None:
    target, mean, variance = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0]), torch.tensor([0.25, 4.0])
    exact = -torch.distributions.Normal(mean, variance.sqrt()).log_prob(target)
    # The likelihood but for a constant that no parameter changes.
    torch.testing.assert_close(
        beta_nll(target, mean, variance, 0.0), exact - 0.5 * math.log(2 * math.pi), rtol=1e-6, atol=1e-6
    )


def test_beta_half_worked_by_hand() -> None:
    loss = beta_nll(torch.tensor(3.0), torch.tensor(1.0), torch.tensor(4.0), 0.5)
    assert loss.item() == pytest.approx(2 * 0.5 * (1 + math.log(4)))


@given(
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.floats(0.01, 100),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_weight_has_no_gradient(target: float, mean: float, variance: float, beta: float) -> None:
    y = torch.tensor(target, dtype=torch.float64)
    mu, v = (torch.tensor(t, dtype=torch.float64, requires_grad=True) for t in (mean, variance))
    by_mean, by_variance = torch.autograd.grad(beta_nll(y, mu, v, beta), (mu, v))
    # At beta 1 the gradient of the mean is that of half the squared error, whatever the variance.
    assert by_mean.item() == pytest.approx((mean - target) * variance ** (beta - 1), abs=1e-9)
    expected = 0.5 * variance**beta * (1 / variance - (target - mean) ** 2 / variance**2)
    assert by_variance.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_hash_is_of_names_and_values() -> None:
    members = Members.of(LINES)
    state = members.state()
    assert members.sha256() == members.with_state(dict(reversed(state.items()))).sha256()
    changed = members.with_state({**state, "offset": state["offset"] + 1e-6})
    assert len({members.sha256(), changed.sha256(), members[1:].sha256()}) == 3


class Pair(nn.Module):
    """A line within a network."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.line = Line(slope)
        self.line_of_another = Line(0.0)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.line.rise(x)

    def drop(self, x: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(x)
        return dropped


def test_a_part_is_the_members_of_a_submodule() -> None:
    members = Members.of([Pair(slope) for slope in (1.0, 2.0, -0.5)])
    part = members.part("line")
    assert set(part.state()) == {"slope", "offset"}
    assert torch.equal(part.each("rise", X), members.each("forward", X))
    with pytest.raises(AttributeError, match="no attribute `curve`"):
        members.part("curve")


def test_in_float64_the_members_are_the_same() -> None:
    members = Members.of(LINES)
    double = members.double()
    assert {tensor.dtype for tensor in double.state().values()} == {torch.float64}
    torch.testing.assert_close(double.each("rise", X.double()), members.each("rise", X).double())
    assert {tensor.dtype for tensor in members.state().values()} == {torch.float32}


def test_each_member_draws_its_own_random_numbers_from_the_global_seed() -> None:
    members = Members.of([Pair(1.0)] * 2)
    x = torch.ones(50)
    torch.manual_seed(0)
    first = members.each("drop", x)
    torch.manual_seed(0)
    assert torch.equal(members.each("drop", x), first)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(first[0], first[1])
