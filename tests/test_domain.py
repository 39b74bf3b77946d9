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
from surrogates.prediction import BEYOND, KNOWN, WITHIN
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
    in_domain = bound.holds(product)
    assert torch.equal(in_domain, bound.holds(product.expand()))
    assert torch.equal(in_domain.reshape(-1, 2), chosen.salts == salts)


def _salted(*salts: dict[Component, float]) -> tuple[BoundDomain, MixtureBatch]:
    """Return mixtures of two solvents with these salts, and the domain `SALTED` bound to them."""
    n = len(salts)
    table, batch = tabulate(
        [SOLVENTS[:2]] * n,
        [[0.5, 0.5]] * n,
        [list(row) for row in salts],
        [list(row.values()) for row in salts],
        [298.15] * n,
    )
    return SALTED.bind(table, FEATURES), batch


def _several_salts() -> MixtureBatch:
    """Return the training mixtures, of which some hold a second salt as well and some none."""
    other = torch.tensor([DATA.table.index()[salt] for salt in SALTS]).sum() - DATA.batch.salts
    second = DATA.batch.molality * (torch.arange(200) % 3 == 0)[:, None]
    first = DATA.batch.molality * (torch.arange(200) % 5 != 0)[:, None]
    return replace(
        DATA.batch,
        salts=torch.cat([DATA.batch.salts, other], dim=1),
        molality=torch.cat([first, second], dim=1),
    )


SALTED = Domain.fit(DATA.table, FEATURES, _several_salts(), HELD_OUT)


def test_mixtures_of_several_salts_and_of_none_are_learnt() -> None:
    batch = _several_salts()
    assert set(batch.salt_counts().tolist()) == {0, 1, 2}
    bound = SALTED.bind(DATA.table, FEATURES)
    torch.testing.assert_close(bound.distance(batch), torch.zeros(200), rtol=0, atol=5e-3)
    assert bound.holds(batch).all()
    total = batch.molality.sum(1)
    assert SALTED.molality == (0.0, float(total.max())) != DOMAIN.molality
    assert (SALTED.mixture_salt == -1).sum() == (batch.salt_counts() == 0).sum()


def test_a_mixture_of_several_salts_is_in_if_it_is_near_with_each() -> None:
    one, two = SALTS
    bound, batch = _salted(
        {one: 1.0}, {two: 1.0}, {one: 0.5, two: 0.5}, {one: 0.9, CHLORIDE: 0.1}, {CHLORIDE: 0.5}
    )
    assert bound.holds(batch).tolist() == [True, True, True, False, False]
    apart = bound.distance(batch)
    assert apart[2] == apart[:2].max() != apart[:2].min()


def test_the_molality_of_all_salts_together_counts() -> None:
    one, two = SALTS
    high = SALTED.molality[1]
    bound, batch = _salted({one: 0.6 * high, two: 0.4 * high}, {one: 0.6 * high, two: 0.5 * high})
    assert bound.holds(batch).tolist() == [True, False]


def test_without_salt_the_solvents_are_compared_alone() -> None:
    bound, batch = _salted({}, {CHLORIDE: 0.0}, {SALTS[0]: 0.0})
    assert bound.holds(batch).all()
    free = replace(DATA.batch, molality=torch.zeros(200, 1))
    assert SALTED.bind(DATA.table, FEATURES).holds(free).all()
    assert not DOMAIN.bind(DATA.table, FEATURES).holds(free).any(), "no training mixture was without salt"
    table, strange = tabulate([[BENZENE, Component.of("C" * 12)]], [[0.5, 0.5]], [[]], [[]], [298.15])
    assert not SALTED.bind(table, FEATURES).holds(strange).any()


def test_without_any_salt_in_training_all_salts_trip_it() -> None:
    free = replace(DATA.batch, molality=torch.zeros(200, 1))
    domain = Domain.fit(DATA.table, FEATURES, free, HELD_OUT)
    assert [domain.salt_smiles, domain.salts.shape[0], domain.molality] == [(), 0, (0.0, 0.0)]
    bound = domain.bind(DATA.table, FEATURES)
    assert bound.holds(free).all()
    assert not bound.holds(DATA.batch).any()


def test_held_out_salts_that_no_other_row_holds_have_no_say() -> None:
    molality = DATA.batch.molality * HELD_OUT[:, None]
    domain = Domain.fit(DATA.table, FEATURES, replace(DATA.batch, molality=molality), HELD_OUT)
    assert domain.threshold == 0.1


def test_neither_order_nor_an_absent_salt_matters() -> None:
    batch, bound = _several_salts(), SALTED.bind(DATA.table, FEATURES)
    turned = replace(batch, salts=batch.salts.flip(1), molality=batch.molality.flip(1))
    more = replace(
        batch,
        salts=torch.cat([batch.salts, batch.solvents[:, :1]], dim=1),
        molality=torch.cat([batch.molality, torch.zeros(200, 1)], dim=1),
    )
    for other in (turned, more):
        assert torch.equal(bound.distance(other), bound.distance(batch))
        assert torch.equal(bound.holds(other), bound.holds(batch))
        again = Domain.fit(DATA.table, FEATURES, other, HELD_OUT)
        assert again.threshold == SALTED.threshold
        assert torch.equal(again.mixtures, SALTED.mixtures)
        assert torch.equal(again.mixture_salt, SALTED.mixture_salt)


@pytest.mark.parametrize("domain", [DOMAIN, SALTED], ids=["one salt", "any"])
@pytest.mark.parametrize(("start", "stop"), [(0, 60), (7, 41), (5, 5)])
def test_a_product_is_judged_as_its_rows_are(start: int, stop: int, domain: Domain) -> None:
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
        molality=torch.tensor([0.0, *torch.linspace(0.1, 2.2, 9).tolist()], dtype=torch.float64),
        temperature_K=torch.tensor([298.15] * 9 + [310.0], dtype=torch.float64),
        start=start,
        stop=stop,
    )
    bound = domain.bind(table, FEATURES)
    expected = bound.holds(product.expand())
    assert torch.equal(bound.holds(product), expected)
    if stop > start:
        assert expected.any()
        assert not expected.all()


def test_a_mixture_of_known_solvents_in_known_shares_with_their_salt_is_known_at_any_molality() -> None:
    bound = DOMAIN.bind(DATA.table, FEATURES)
    assert (bound.zones(DATA.batch) == KNOWN).all()
    molality = DATA.batch.molality.flip(0)
    assert (bound.zones(replace(DATA.batch, molality=molality)) == KNOWN).all()
    moved = replace(DATA.batch, weights=DATA.batch.weights * torch.tensor([1.0, 1.5]))
    zones = bound.zones(moved)
    assert (zones == WITHIN).any() and not (zones == KNOWN).all()
    assert torch.equal(zones == BEYOND, bound.distance(moved) > DOMAIN.threshold)
    hot = replace(DATA.batch, temperature_K=DATA.batch.temperature_K + 50)
    assert (bound.zones(hot) == BEYOND).all()
