"""The domain of a discharge model: each of its three conditions, alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from surrogates.composition_batches import CompositionBatch, CompositionTable, Conditions, read_formulas
from surrogates.conditions import PUBLISHED_RANGES
from surrogates.discharge import embed_compositions
from surrogates.discharge_domain import (
    METALS,
    USUAL,
    DischargeDomain,
    manganese_oxyfluorides,
    published_domain,
    spread,
    spread_limit,
)
from surrogates.encoders.drxnet import DRXNetSettings
from surrogates.members import Members
from tests.synthetic_compositions import network

CONDITION = (20.0, 1.5, 4.8, 1.0)
FORMULAS = ["Li1.2Mn0.4Ti0.4O2", "Li1.2Mn0.8O1.7F0.3", "Li1.3Mn0.2Cr0.5O1.8F0.2"]


@pytest.fixture(scope="module")
def members() -> Members:
    return Members.of([network(DRXNetSettings(), seed).float() for seed in range(3)])[:]


@pytest.fixture(scope="module")
def cathodes() -> tuple[CompositionTable, CompositionBatch]:
    return read_formulas(FORMULAS)


@pytest.fixture
def domain(members: Members) -> DischargeDomain:
    return DischargeDomain(
        cations=("Li", "Mn", "Ti", "Cr"),
        lithium=(1.0, 1.3),
        fluorine=(0.0, 0.3),
        ranges={},
        condition=CONDITION,
        spread_mAh_g=1e6,
        origin="",
    )


def _held(
    domain: DischargeDomain, members: Members, cathodes: tuple[CompositionTable, CompositionBatch]
) -> list[bool]:
    held: list[bool] = domain.holds(members, *cathodes, embed_compositions(members, *cathodes)).tolist()
    return held


def test_all_within_is_known_ends_included(
    domain: DischargeDomain, members: Members, cathodes: tuple[CompositionTable, CompositionBatch]
) -> None:
    assert _held(domain, members, cathodes) == [True, True, True]


@pytest.mark.parametrize(
    ("narrower", "expected"),
    [
        ({"cations": ("Li", "Mn", "Ti")}, [True, True, False]),
        ({"cations": ("Li", "Mn", "Cr")}, [False, True, True]),
        ({"lithium": (1.0, 1.25)}, [True, True, False]),
        ({"lithium": (1.25, 1.3)}, [False, False, True]),
        ({"fluorine": (0.0, 0.25)}, [True, False, True]),
        ({"fluorine": (0.1, 0.3)}, [False, True, True]),
        ({"spread_mAh_g": 0.0}, [False, False, False]),
    ],
)
def test_each_limit_counts(
    domain: DischargeDomain,
    members: Members,
    cathodes: tuple[CompositionTable, CompositionBatch],
    narrower: dict[str, Any],
    expected: list[bool],
) -> None:
    assert _held(replace(domain, **narrower), members, cathodes) == expected


def test_an_element_of_weight_0_is_not_there(
    domain: DischargeDomain, members: Members, cathodes: tuple[CompositionTable, CompositionBatch]
) -> None:
    table, batch = cathodes
    row = table.elements.index("Cr")
    padded = CompositionBatch(
        torch.cat([batch.cations[:1], torch.tensor([[row]])], dim=1),
        torch.cat([batch.weights[:1], torch.zeros(1, 1)], dim=1),
        batch.fluorine[:1],
    )
    assert _held(replace(domain, cations=("Li", "Mn", "Ti")), members, (table, padded)) == [True]


def test_the_spread_is_the_members_standard_deviation(
    members: Members, cathodes: tuple[CompositionTable, CompositionBatch]
) -> None:
    table, batch = cathodes
    embedding = embed_compositions(members, table, batch)
    rows = []
    for member in range(3):
        one = network(DRXNetSettings(), member).float()
        condition = Conditions.of([20], [1], [1.5], [4.8])
        _, now = one.states(one.embed(table, batch), one.condition(condition))
        rows.append(one.discharge(now, condition.window(), torch.tensor([[1.5]]))[:, 0].detach())
    expected = torch.stack(rows).std(0)
    torch.testing.assert_close(spread(members, embedding, CONDITION), expected, rtol=1e-4, atol=1e-4)
    assert spread_limit(members, embedding, CONDITION) == pytest.approx(
        torch.quantile(expected, 0.95).item(), rel=1e-4
    )


def test_manganese_oxyfluorides_balance() -> None:
    table, batch = manganese_oxyfluorides()
    charge = (4 - 2 * batch.fluorine - 2 * batch.weights[:, 0]) / (2 * batch.weights[:, 1])
    assert table.elements == ("Li", "Mn")
    assert len(batch) > 100
    assert ((charge > 2 - 1e-3) & (charge < 4 + 1e-3)).all()


def test_the_domain_is_that_of_the_manganese_map(members: Members) -> None:
    table, batch = manganese_oxyfluorides()
    domain = published_domain(members, PUBLISHED_RANGES)
    found = spread(members, embed_compositions(members, table, batch), USUAL)
    assert 0.94 < (found <= domain.spread_mAh_g).float().mean() < 0.96
    assert set(domain.cations) == {"Li", *METALS}
    assert domain.ranges == PUBLISHED_RANGES
