"""The mask of a product space against residuals of its candidates one by one."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables, at_least, at_most, ratio
from activelearn.constraints import AtMost, Constraints, FromFunction, LeastIfPresent
from activelearn.mixture_masks import MixtureMask
from activelearn.solubility import LiquidRange, Solubility
from activelearn.spaces import MixtureSpace
from campaigns.config import load_yaml, resolve_job
from campaigns.screen_config import ScreenConfig
from surrogates.chemicals import resolve
from surrogates.molecules import Component


def components(*names: str) -> dict[str, Component]:
    return {name: Component.of(resolve(name)) for name in names}


def curved(x: Mapping[str, Tensor]) -> Tensor:
    return x["EC"] * x["LiPF6"] - x["DMC"] * x["LiBOB"] + (x["temperature_K"] - 280) / 100


@cache
def small() -> MixtureMask:
    space = MixtureSpace(
        solvents=components("EC", "DMC", "EMC", "toluene"),
        salts=components("LiPF6", "LiBOB", "LiTDI"),
        solvents_per_mixture=(1, 3),
        fraction_step=0.1,
        molality_mol_kg=(0.0, 0.5, 1.5),
        temperature_K=(253.15, 298.15),
    )
    variables = MixtureVariables(space.solvents, space.salts)
    asked = (
        at_least("EC at least 0.3", variables, {"EC": 1.0}, 0.3),
        at_most("EC and half of the salt", variables, {"EC": 1.0, "LiPF6": 0.5}, 1.0),
        ratio("DMC is EMC", variables, "DMC", "EMC", 1.0),
        at_least("warm", variables, {"temperature_K": 1.0}, 298.15),
        AtMost("at most two", (0, 1, 2, 3), 2),
        LeastIfPresent("0.2 if any", (0, 1, 2, 3), 0.2),
        FromFunction(f"{__name__}:curved", variables.names),
        *Solubility(variables, (253.15, 298.15)).constraints(),
        *LiquidRange(variables).constraints(),
    )
    domain = variables.domain((0.0, 1.5), (253.15, 298.15))
    return MixtureMask(space, Constraints(variables.names, domain, asked))


@given(st.data())
def test_a_range_is_its_candidates_one_by_one(data: st.DataObject) -> None:
    mask = small()
    start = data.draw(st.integers(0, len(mask.space)))
    stop = data.draw(st.integers(start, min(start + 100, len(mask.space))))
    x = MixtureVariables(mask.space.solvents, mask.space.salts).rows(
        mask.space.at(torch.arange(start, stop)), mask.space.table
    )
    said = mask.slacks(mask.space[start:stop])
    assert said.shape == (stop - start, len(mask.names))
    asked = said.new_zeros(0, len(mask.names)) if stop == start else mask.constraints.slacks(x)
    torch.testing.assert_close(said, asked[:, -len(mask.names) :])


def test_every_kind_leaves_some_and_takes_some() -> None:
    mask = small()
    missed = mask.missed(mask.space[0 : len(mask.space)])
    some = missed.any(0) & ~missed.all(0)
    assert some.all()


@pytest.mark.parametrize("job", ["electrolytes"])
def test_mask_linear_form_and_residual_agree_on_a_bundled_space(job: str) -> None:
    config = load_yaml(resolve_job(job), ScreenConfig)
    space = config.space.space()
    variables = MixtureVariables(space.solvents, space.salts)
    asked = (
        at_least("EC or PC", variables, {"EC": 1.0, "PC": 1.0}, 0.5),
        AtMost("at most one ether", (4, 5, 8, 10, 13), 1),
        *Solubility(variables, (298.15, 298.15)).constraints(),
        *LiquidRange(variables).constraints(),
    )
    domain = variables.domain((1.0, 1.0), (298.15, 298.15))
    constraints = Constraints(variables.names, domain, asked)
    mask = MixtureMask(space, constraints)
    candidates = np.sort(np.random.default_rng(0).permutation(len(space))[:10_000])
    missed = mask.missed(space[0 : len(space)])[candidates]
    x = variables.rows(space.at(torch.from_numpy(candidates)), space.table)
    assert np.array_equal(~missed.any(1), constraints.is_feasible(x).numpy())
    linear = [*constraints.linear_equalities(), *constraints.linear_inequalities()]
    fulfilled = [
        (x[:, indices] @ coefficients - rhs).abs() <= 1e-3 * (abs(rhs) > 2) + 1e-6
        if i < len(constraints.linear_equalities())
        else x[:, indices] @ coefficients - rhs >= -1e-6 * max(1.0, abs(rhs))
        for i, (indices, coefficients, rhs) in enumerate(linear)
    ]
    fulfilled += [function(x) >= -1e-6 for function, _ in constraints.nonlinear_inequalities()]
    assert np.array_equal(torch.stack(fulfilled).all(0).numpy(), ~missed.any(1))
    assert 0 < (~missed.any(1)).sum() < len(candidates)


def test_a_mask_pickles() -> None:
    mask = small()
    other = pickle.loads(pickle.dumps(mask))
    assert np.array_equal(other.missed(mask.space[10:200]), mask.missed(mask.space[10:200]))
