"""The applicability domain: what is far from the training data is not in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from surrogates.batches import MixtureBatch, MixtureProduct
from surrogates.domain import BoundDomain, Domain
from surrogates.features import MoleculeFeatures
from surrogates.mixture_data import tabulate
from surrogates.molecules import Component
from tests.synthetic_mixtures import SALTS, SOLVENTS, synthetic_data

DATA = synthetic_data(200)
FEATURES = MoleculeFeatures.fit(DATA.table, 4)
HELD_OUT = torch.arange(200) % 4 == 0
DOMAIN = Domain.fit(DATA.table, FEATURES, DATA.batch, HELD_OUT)
CHLORIDE, BENZENE = Component.of("[Li+].[Cl-]"), Component.of("c1ccccc1")


def _bound(
    solvents: list[Component], salt: Component, molality: float = 1.0, temperature_K: float = 298.15
) -> tuple[BoundDomain, MixtureBatch]:
    table, batch = tabulate(
        [solvents], [[1 / len(solvents)] * len(solvents)], [[salt]], [[molality]], [temperature_K]
    )
    return DOMAIN.bind(table, FEATURES), batch


def _holds(*args: Any) -> bool:
    bound, batch = _bound(*args)
    return bool(bound.holds(batch))


def test_a_mixture_like_those_measured_is_in() -> None:
    assert _holds(SOLVENTS[:2], SALTS[0])
    assert DOMAIN.bind(DATA.table, FEATURES).holds(DATA.batch).all()


def test_a_training_mixture_is_at_no_distance() -> None:
    distance = DOMAIN.bind(DATA.table, FEATURES).distance(DATA.batch)
    torch.testing.assert_close(distance, torch.zeros(200), rtol=0, atol=5e-3)


def test_an_unseen_salt_trips_it_however_near() -> None:
    bound, batch = _bound(SOLVENTS[:2], CHLORIDE)
    assert not bound.holds(batch)
    patient = replace(DOMAIN, threshold=float("inf")).bind(DATA.table, FEATURES)
    assert patient.holds(DATA.batch).all()
    solvent_as_salt = replace(DATA.batch, salts=DATA.batch.solvents[:, :1])
    assert not patient.holds(solvent_as_salt).any()


def test_a_mixture_far_from_all_trips_it() -> None:
    bound, batch = _bound([BENZENE, Component.of("C" * 12)], SALTS[0])
    assert not bound.holds(batch)
    assert bound.distance(batch) > 2 * DOMAIN.threshold


@pytest.mark.parametrize(
    ("molality", "temperature_K", "inside"),
    [
        (DOMAIN.molality[1] * 1.04, 298.15, True),
        (DOMAIN.molality[1] * 1.06, 298.15, False),
        (DOMAIN.molality[0] / 1.04, 298.15, True),
        (DOMAIN.molality[0] / 1.06, 298.15, False),
        (1.0, 299.1, True),
        (1.0, 299.2, False),
        (1.0, 297.2, True),
        (1.0, 297.1, False),
    ],
)
def test_molality_and_temperature_have_a_little_slack(
    molality: float, temperature_K: float, inside: bool
) -> None:
    assert _holds(SOLVENTS[:2], SALTS[0], molality, temperature_K) == inside


def test_the_threshold_keeps_95_of_100_held_out_mixtures() -> None:
    others = DATA.batch[~HELD_OUT]
    known = Domain.fit(DATA.table, FEATURES, others, torch.zeros(len(others), dtype=torch.bool))
    same_scale = replace(
        known,
        mixtures=known.mixtures
        / known.solvent_scale.where(known.solvent_scale > 0, 1)
        * DOMAIN.solvent_scale,
        solvent_scale=DOMAIN.solvent_scale,
        salts=known.salts / known.salt_scale.where(known.salt_scale > 0, 1) * DOMAIN.salt_scale,
        salt_scale=DOMAIN.salt_scale,
    )
    distance = same_scale.bind(DATA.table, FEATURES).distance(DATA.batch[HELD_OUT])
    assert (distance <= DOMAIN.threshold).double().mean().item() == pytest.approx(0.95, abs=0.021)


def test_rows_that_differ_in_molality_only_do_not_make_it_a_point() -> None:
    one = DATA.batch[torch.zeros(20, dtype=torch.int64)]
    varied = replace(one, molality=torch.linspace(0.5, 1.5, 20, dtype=torch.float64)[:, None])
    domain = Domain.fit(DATA.table, FEATURES, varied, torch.arange(20) % 4 == 0)
    assert domain.threshold == 0.1
    assert domain.bind(DATA.table, FEATURES).holds(varied).all()


def test_without_held_out_rows_nothing_is_too_far() -> None:
    none = Domain.fit(DATA.table, FEATURES, DATA.batch, torch.zeros(200, dtype=torch.bool))
    assert none.threshold == float("inf")


def test_a_known_salt_in_anothers_solvent_is_as_far_as_the_salts_are() -> None:
    own = DATA.batch.salts[:, 0] == DATA.batch.salts[0, 0]
    with_own = own == (DATA.batch.solvents == DATA.table.index()[SOLVENTS[0]]).any(1)
    chosen = DATA.batch[with_own]  # one salt always with EC, the other never
    domain = Domain.fit(DATA.table, FEATURES, chosen, torch.zeros(len(chosen), dtype=torch.bool))
    bound = replace(domain, threshold=0.1).bind(DATA.table, FEATURES)
    salts = chosen.salts.unique()
    apart = (FEATURES.of(DATA.table)[salts] * domain.salt_scale).diff(dim=0).norm()
    swapped = replace(chosen, salts=salts.sum() - chosen.salts)
    assert (bound.distance(swapped) > 0.1).all()
    assert (bound.distance(swapped) <= apart + 1e-3).all()
    product = MixtureProduct(
        chosen.solvents,
        chosen.weights,
        salts,
        molality=torch.ones(2, dtype=torch.float64),
        temperature_K=torch.full((2,), 298.15, dtype=torch.float64),
        start=0,
        stop=2 * len(chosen),
    )
    in_domain = bound.holds_product(product)
    assert torch.equal(in_domain, bound.holds(product.expand()))
    assert torch.equal(in_domain.reshape(-1, 2), chosen.salts == salts)


@pytest.mark.parametrize(("start", "stop"), [(0, 60), (7, 41), (5, 5)])
def test_a_product_is_judged_as_its_rows_are(start: int, stop: int) -> None:
    table, solvents = tabulate(
        [
            SOLVENTS[:2],
            SOLVENTS[1:3],
            [BENZENE],
            [BENZENE, SOLVENTS[0]],
            SOLVENTS[4:],
            [Component.of("C" * 12)],
        ],
        [[0.4, 0.6], [0.5, 0.5], [1.0], [0.1, 0.9], [1.0], [1.0]],
        [[salt] for salt in (*SALTS, CHLORIDE)] * 2,
        [[1.0]] * 6,
        [298.15] * 6,
    )
    product = MixtureProduct(
        solvents.solvents,
        solvents.weights,
        salt=solvents.salts[:, 0].repeat(2)[:10],
        molality=torch.linspace(0.1, 2.2, 10, dtype=torch.float64),
        temperature_K=torch.tensor([298.15] * 9 + [310.0], dtype=torch.float64),
        start=start,
        stop=stop,
    )
    bound = DOMAIN.bind(table, FEATURES)
    expected = bound.holds(product.expand())
    assert torch.equal(bound.holds_product(product), expected)
    if stop > start:
        assert expected.any()
        assert not expected.all()
