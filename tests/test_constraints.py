"""Residuals against slow words, gradients against differences, and what BoTorch is given against both."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn.constraints import (
    AtMost,
    Constraint,
    Constraints,
    FromFunction,
    LeastIfPresent,
    Linear,
    slack,
    source_sha256,
)
from surrogates.errors import InputError

NAMES = ("a", "b", "c", "d")
SUM = Linear("they sum to 1", "", ((0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)), 1.0, True)
TILT = Linear("a beyond b", "mol/kg", ((0, 2.0), (1, -1.0)), 0.25)
TWO = AtMost("at most two", (0, 1, 2), 2)
LEAST = LeastIfPresent("at least 0.1 if any", (0, 1, 2), 0.1)
amounts = st.lists(st.floats(0, 1), min_size=4, max_size=4)


def product_of(x: Mapping[str, Tensor]) -> Tensor:
    return x["a"] * x["b"] - x["c"] ** 2


def no_tensor(x: Mapping[str, Tensor]) -> float:
    return 1.0


def scalar(x: Mapping[str, Tensor]) -> Tensor:
    return x["a"].sum()


def not_a_number(x: Mapping[str, Tensor]) -> Tensor:
    return x["a"].log()


OWN = FromFunction(f"{__name__}:product_of", NAMES)
ALL = Constraints(NAMES, (SUM,), (TILT, TWO, LEAST, OWN))


@given(amounts)
def test_residuals_say_what_words_say(values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    a, b, c, d = values
    assert float(TILT.residual(x)) == pytest.approx(2 * a - b - 0.25)
    assert float(SUM.residual(x)) == pytest.approx(a + b + c + d - 1)
    assert float(TWO.residual(x)) == pytest.approx(-min(a, b, c))
    away = [min(value, 0.1 - value) if value < 0.1 else 0.0 for value in (a, b, c)]
    assert float(LEAST.residual(x)) == pytest.approx(-max(away))
    assert float(OWN.residual(x)) == pytest.approx(a * b - c**2)


@pytest.mark.parametrize("one", ALL.all, ids=lambda one: one.name)
@given(values=amounts)
def test_gradients_are_differences(one: Constraint, values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    corners = torch.cat([(x[:3, None] - x[:3]).abs()[~torch.eye(3, dtype=torch.bool)]])
    kinks = torch.cat([corners, x[:3], (x[:3] - 0.05).abs(), (x[:3] - 0.1).abs()])
    kinks = torch.cat([kinks, (0.1 - x[:3, None] - x[:3]).abs().flatten()])
    if float(kinks.min()) < 1e-4:  # a residual of pieces has no gradient where they meet
        return
    assert torch.autograd.gradcheck(one.residual, x.requires_grad_(), eps=1e-6, atol=1e-5)


def test_shapes_are_kept() -> None:
    x = torch.rand(5, 3, 4, dtype=torch.float64)
    assert ALL.slacks(x).shape == (5, 3, 5)
    assert ALL.is_feasible(x).shape == (5, 3)


@given(amounts)
def test_feasible_is_what_no_violation_is_told_of(values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    x = x / x.sum().clamp_min(1e-3)
    told = ALL.violations(x)
    assert bool(ALL.is_feasible(x)) == (not told)
    assert all(one.by > 0 for one in told)


def test_violations_read_in_full() -> None:
    x = torch.tensor([0.05, 0.35, 0.25, 0.3], dtype=torch.float64)
    assert [str(one) for one in ALL.violations(x)] == [
        '"they sum to 1" is missed by 0.05',
        '"a beyond b" is missed by 0.5 mol/kg',
        '"at most two" is missed by 0.05',
        '"at least 0.1 if any" is missed by 0.05',
        f'"{__name__}:product_of" is missed by 0.045',
    ]


@given(st.lists(amounts, min_size=1, max_size=20))
def test_what_botorch_is_given_says_the_same(rows: list[list[float]]) -> None:
    x = torch.tensor(rows, dtype=torch.float64)
    linear = [*ALL.linear_equalities(), *ALL.linear_inequalities()]
    said = [x[:, indices] @ coefficients - rhs for indices, coefficients, rhs in linear]
    torch.testing.assert_close(torch.stack(said, -1), torch.stack([SUM.residual(x), TILT.residual(x)], -1))
    for one, (function, of_one_point) in zip((TWO, LEAST, OWN), ALL.nonlinear_inequalities(), strict=True):
        assert of_one_point
        assert torch.equal(torch.stack([function(row) for row in x]), one.residual(x))


def test_an_equality_has_room_on_no_side() -> None:
    x = torch.tensor([[0.5, 0.5, 0, 0], [0.5, 0.6, 0, 0], [0.5, 0.4, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(slack(SUM, x), torch.tensor([0.0, -0.1, -0.1], dtype=torch.float64))


def test_constraints_pickle() -> None:
    x = torch.rand(3, 4, dtype=torch.float64)
    assert torch.equal(pickle.loads(pickle.dumps(ALL)).slacks(x), ALL.slacks(x))


def test_a_name_stands_once() -> None:
    with pytest.raises(InputError) as error:
        Constraints(NAMES, (SUM,), (TILT, TILT))
    assert str(error.value) == 'constraints: "a beyond b" stands there twice. Remove one.'


MEND = "Write it as package.module:function, and let $PYTHONPATH lead to the module."


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{__name__}:nothing", f"there is no such function. {MEND}"),
        ("no_such_module_here", f"there is no such function. {MEND}"),
        (
            "no_such_module_here:f",
            "its module cannot be imported: ModuleNotFoundError: No module named 'no_such_module_here'. "
            f"{MEND}",
        ),
        (
            f"{__name__}:no_tensor",
            "it gave float for amounts of shape [2]; a tensor of that was expected. Return one number a "
            "candidate.",
        ),
        (
            f"{__name__}:scalar",
            "it gave shape [] for amounts of shape [2]; a tensor of that was expected. Return one number a "
            "candidate.",
        ),
        (
            f"{__name__}:not_a_number",
            "it gave a number that is not finite. Give a number for every candidate, below 0 where it is not "
            "allowed.",
        ),
    ],
)
def test_a_function_of_the_users_own_is_refused_in_words(path: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        FromFunction(path, NAMES).residual(torch.zeros(2, 4, dtype=torch.float64))
    assert str(error.value) == f'constraint "{path}": {told}'


def test_the_source_of_a_function_is_its_file_and_that_which_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(__file__).read_bytes()
    assert source_sha256(f"{__name__}:product_of") == sha256(own).hexdigest()
    named = tmp_path / "naming_the_product.py"
    named.write_text(f"from {__name__} import product_of\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    both = sha256(named.read_bytes() + own).hexdigest()
    assert source_sha256("naming_the_product:product_of") == both
    named.write_text("changed", encoding="utf-8")
    assert source_sha256("naming_the_product:product_of") == sha256(b"changed" + own).hexdigest()
    assert source_sha256("sys:intern") is None
