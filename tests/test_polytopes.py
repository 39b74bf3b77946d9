"""Nearest points against the conditions that only they fulfil, and a solver; walks against what they hit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, nnls
from torch import Tensor

from activelearn.polytopes import Polytope, inner_point, nearest


@st.composite
def constrained(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A simplex with bounds and some half-spaces around a point of it, and points to project: `5 x f`."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    f, cuts = draw(st.integers(2, 6)), draw(st.integers(0, 5))
    point = torch.rand(f, generator=random, dtype=torch.float64)
    point = point / point.sum()
    tight = draw(st.sampled_from([0.0, 0.5, 1.0]))  # 1: the point lies on all bounds below
    low, high = tight * point, point + draw(st.sampled_from([0.0, 0.1, 1.0]))
    normals = torch.randn(cuts, f, generator=random, dtype=torch.float64)
    sides = normals @ point - draw(st.sampled_from([0.0, 0.05]))
    eye = torch.eye(f, dtype=torch.float64)
    matrix = torch.cat([torch.ones(1, f, dtype=torch.float64), eye, -eye, normals])
    rhs = torch.cat([torch.ones(1, dtype=torch.float64), low, -high, sides])
    is_equality = torch.arange(len(rhs)) == 0
    return matrix, rhs, is_equality, 2 * torch.randn(5, f, generator=random, dtype=torch.float64)


@given(constrained())
def test_nearest_points_are_feasible_and_what_pulls_them_back_are_the_constraints_they_touch(
    case: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    matrix, rhs, is_equality, z = case
    polytope = Polytope.of(matrix, rhs, is_equality)
    found = polytope.nearest(z)
    room = found @ matrix.T - rhs
    assert (room[:, 1:] >= -1e-9).all()
    assert room[:, 0].abs().max() < 1e-12
    torch.testing.assert_close(polytope.nearest(found), found, rtol=0, atol=1e-9)
    for point, nearby, left in zip(z, found, room, strict=True):
        touched = matrix[(left <= 1e-8) | is_equality].numpy()
        directions = np.vstack([touched, -matrix[is_equality].numpy()])
        assert nnls(directions.T, (nearby - point).numpy())[1] < 1e-6


@given(constrained())
def test_a_solver_that_takes_one_point_after_the_other_finds_no_nearer_ones(
    case: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    matrix, rhs, is_equality, z = case
    found = Polytope.of(matrix, rhs, is_equality).nearest(z)
    rows, sides = matrix.numpy(), rhs.numpy()
    for point, nearby in zip(z[:2].numpy(), found[:2].numpy(), strict=True):
        slow = minimize(
            lambda v, to: ((v - to) ** 2).sum(),
            nearby,  # from elsewhere it stops short of tight corners
            args=(point,),
            jac=lambda v, to: 2 * (v - to),
            method="SLSQP",
            constraints=[
                {"type": "eq", "fun": lambda v: rows[0] @ v - 1, "jac": lambda v: rows[0]},
                {"type": "ineq", "fun": lambda v: rows[1:] @ v - sides[1:], "jac": lambda v: rows[1:]},
            ],
            options={"ftol": 1e-14},
        )
        assert ((nearby - point) ** 2).sum() <= slow.fun + 1e-7


@given(constrained(), st.integers(0, 10_000))
def test_constraints_of_a_row_count_for_it_alone(
    case: tuple[Tensor, Tensor, Tensor, Tensor], seed: int
) -> None:
    matrix, rhs, is_equality, z = case
    polytope = Polytope.of(matrix, rhs, is_equality)
    random = torch.Generator().manual_seed(seed)
    own = torch.randn(len(z), 2, z.shape[1], generator=random, dtype=torch.float64)
    sides = (own @ polytope.nearest(z)[:, :, None])[:, :, 0] - 0.1
    sides[-1] += 100.0  # beyond the simplex
    together = polytope.nearest(z, own, sides)
    for i in range(len(z) - 1):
        alone = Polytope.of(
            torch.cat([matrix, own[i]]),
            torch.cat([rhs, sides[i]]),
            torch.cat([is_equality, torch.zeros(2).bool()]),
        )
        torch.testing.assert_close(together[i : i + 1], alone.nearest(z[i : i + 1]), rtol=0, atol=1e-9)
    assert together[-1].isnan().all()


def test_the_nearest_point_by_hand() -> None:
    simplex = torch.cat([torch.ones(1, 3), torch.eye(3)]).double()
    rhs = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    polytope = Polytope.of(simplex, rhs, torch.arange(4) == 0)
    z = torch.tensor([[0.5, 0.5, 0.5], [2.0, 0.0, 0.0], [0.9, 0.7, -0.3]], dtype=torch.float64)
    by_hand = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0.6, 0.4, 0]], dtype=torch.float64)
    torch.testing.assert_close(polytope.nearest(z), by_hand)


def test_where_no_point_is_there_is_no_nearest() -> None:
    normals = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]] * 2, dtype=torch.float64)
    rhs = torch.tensor([[1.0, -0.5], [1.0, -1.5]], dtype=torch.float64)
    found = nearest(torch.zeros(2, 2, dtype=torch.float64), normals, rhs)
    assert found[0].isnan().all()
    assert found[1].tolist() == [1.0, 0.0]
    never = Polytope.of(torch.zeros(1, 2).double(), torch.ones(1).double(), torch.zeros(1).bool())
    assert never.nearest(torch.zeros(1, 2).double()).isnan().all()
    always = Polytope.of(torch.zeros(1, 2).double(), -torch.ones(1).double(), torch.zeros(1).bool())
    assert always.nearest(torch.ones(1, 2).double()).tolist() == [[1.0, 1.0]]


def test_what_excludes_each_other_by_rounding_alone_does_not() -> None:
    normals = torch.tensor([[[1.0], [-1.0]]], dtype=torch.float64)
    rhs = torch.tensor([[0.3, -0.3 + 1e-11]], dtype=torch.float64)
    found = nearest(torch.zeros(1, 1, dtype=torch.float64), normals, rhs)
    assert found.item() == pytest.approx(0.3, abs=1e-9)


def test_without_constraints_points_stay() -> None:
    z = torch.rand(3, 2, dtype=torch.float64)
    polytope = Polytope.of(torch.zeros(0, 2).double(), torch.zeros(0).double(), torch.zeros(0).bool())
    torch.testing.assert_close(polytope.nearest(z), z)


@given(constrained())
def test_a_walk_from_an_inner_point_stays_inside(case: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    matrix, rhs, is_equality, _ = case
    inner, has_room = inner_point(matrix, rhs, is_equality)
    assert ((matrix @ inner - rhs)[has_room] > 0).all()
    torch.testing.assert_close((matrix @ inner)[~has_room], rhs[~has_room], rtol=0, atol=1e-7)
    polytope = Polytope.of(matrix, rhs, ~has_room)
    walked = polytope.walk(inner.expand(20, -1), 10, torch.Generator().manual_seed(0))
    assert (walked @ matrix.T - rhs >= -1e-7).all()


def test_a_walk_spreads_points_evenly() -> None:
    simplex = torch.cat([torch.ones(1, 3), torch.eye(3)]).double()
    rhs = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    polytope = Polytope.of(simplex, rhs, torch.arange(4) == 0)
    corner = torch.tensor([0.98, 0.01, 0.01], dtype=torch.float64)
    walked = polytope.walk(corner.expand(4000, -1), 50, torch.Generator().manual_seed(0))
    share = [(walked[:, i] > 0.5).double().mean().item() for i in range(3)]
    assert share == pytest.approx(
        [0.25] * 3, abs=0.03
    )  # a corner of half the height has a quarter of the area


def test_an_empty_set_has_no_inner_point() -> None:
    with pytest.raises(ValueError, match="no point fulfils the linear constraints"):
        inner_point(
            torch.tensor([[1.0], [-1.0]]).double(), torch.tensor([1.0, 0.0]).double(), torch.zeros(2).bool()
        )
