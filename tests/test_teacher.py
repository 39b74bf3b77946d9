"""Mixtures for the teacher to label: near those that were measured, and sound."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.batches import MixtureBatch
from surrogates.teacher import Teacher, nearby_mixtures
from tests.test_batches import assert_equal

BATCH = MixtureBatch(
    solvents=torch.tensor([[0, 1, 2], [3, 0, 0], [4, 5, 0], [6, 7, 0]]),
    weights=torch.tensor([[0.2, 0.3, 0.4], [0.9, 0, 0], [0.5, 0.5, 0], [0.1, 0.9, 0]], dtype=torch.float64),
    salts=torch.tensor([[8], [9], [10], [10]]),
    molality=torch.tensor([[0.5], [1.0], [2.0], [3.0]], dtype=torch.float64),
    temperature_K=torch.tensor([280.0, 298.15, 310, 298.15], dtype=torch.float64),
)


@given(st.integers(1, 200), st.integers(0, 2**31 - 1))
def test_each_mixture_holds_the_solvents_of_a_measured_one(number: int, seed: int) -> None:
    made, _ = nearby_mixtures(BATCH, number, seed)
    assert len(made) == number
    sets = {frozenset(zip(s, (w > 0 for w in weights), strict=True)) for s, weights in _lists(BATCH)}
    assert {frozenset(zip(s, (w > 0 for w in weights), strict=True)) for s, weights in _lists(made)} <= sets
    torch.testing.assert_close(made.weights.sum(1), torch.ones(number, dtype=torch.float64))
    assert (made.weights >= 0).all()
    assert set(made.salts[:, 0].tolist()) <= {8, 9, 10}
    assert (made.molality > 0).all()
    assert set(made.temperature_K.tolist()) <= {280.0, 298.15, 310.0}


def _lists(batch: MixtureBatch) -> zip[tuple[list[int], list[float]]]:
    return zip(batch.solvents.tolist(), batch.weights.tolist(), strict=True)


def test_what_changes_and_how_often() -> None:
    made, _ = nearby_mixtures(BATCH, 20_000, seed=0)
    salt, molality = made.salts[:, 0], made.molality[:, 0]
    known = set(BATCH.molality[:, 0].tolist())
    moved = torch.tensor([one not in known for one in molality.tolist()])
    assert abs(moved.double().mean() - 0.4) < 0.02
    from_second = made.solvents[:, 0] == 3  # its own salt, molality and temperature stand in no other row
    salt_of_another = from_second & (salt != 9)
    assert abs(salt_of_another.sum() / from_second.sum() - 0.3 * 0.75) < 0.02
    # Molality and temperature come from one row, together.
    swapped = from_second & ~moved & (molality != 1.0)
    assert abs(swapped.sum() / from_second.sum() - 0.3 * 0.75) < 0.02
    pairs = set(zip(molality[swapped].tolist(), made.temperature_K[swapped].tolist(), strict=True))
    assert pairs == {(0.5, 280.0), (2.0, 310.0), (3.0, 298.15)}


def test_half_of_the_fractions_are_drawn_uniformly_from_the_simplex() -> None:
    made, _ = nearby_mixtures(BATCH, 20_000, seed=0)
    first = made.weights[made.solvents[:, 0] == 6][:, 0]
    drawn = first[(first - 0.1).abs() > 1e-9]
    assert abs(len(drawn) / len(first) - 0.5) < 0.03
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    torch.testing.assert_close(drawn.quantile(levels), levels, rtol=0, atol=0.03)


def test_a_seed_gives_the_same_mixtures() -> None:
    (one, of), (same, same_of), (other, _) = (nearby_mixtures(BATCH, 50, seed) for seed in (1, 1, 2))
    assert_equal(one, same)
    assert torch.equal(of, same_of)
    assert not torch.equal(one.molality, other.molality)


def test_each_mixture_has_nothing_but_of_the_two_rows_it_is_made_of() -> None:
    made, of = nearby_mixtures(BATCH, 500, seed=0)
    one, other = of.T
    assert torch.equal(made.solvents, BATCH.solvents[one])
    assert ((made.salts == BATCH.salts[one]) | (made.salts == BATCH.salts[other])).all()
    swapped = made.temperature_K != BATCH.temperature_K[one]
    assert torch.equal(made.temperature_K[swapped], BATCH.temperature_K[other][swapped])


def test_none_are_made_if_none_are_asked_for() -> None:
    made, of = nearby_mixtures(BATCH, 0, seed=0)
    assert len(made) == len(of) == 0


def _features() -> torch.Tensor:
    """Return eleven molecules of three principal components, chain length and kind."""
    return torch.rand(11, 5, generator=torch.Generator().manual_seed(0))


def test_a_measured_mixture_gets_what_was_measured() -> None:
    target = torch.tensor([-1.0, -2.0, -4.0, -3.0], dtype=torch.float64)
    teacher = Teacher.fit(_features(), BATCH, target, seed=0)
    torch.testing.assert_close(teacher.label(BATCH), target.float())


def test_a_label_depends_on_solvents_fractions_salt_and_conditions() -> None:
    near, _ = nearby_mixtures(BATCH, 500, seed=1)
    features = _features()
    shares = torch.zeros(500, 11, dtype=torch.float64).scatter_add_(1, near.solvents, near.fractions())
    law = shares @ features[:, 0].double() - features[near.salts[:, 0], 1]
    law += near.molality[:, 0] + near.temperature_K / 30
    teacher = Teacher.fit(features, near[:400], law[:400], seed=0)
    left = (teacher.label(near[400:]) - law[400:]).abs().mean()
    assert left < 0.2 * (law[400:] - law[:400].mean()).abs().mean()


def test_a_seed_gives_the_same_labels_and_another_gives_others() -> None:
    near, _ = nearby_mixtures(BATCH, 50, seed=1)
    one, two, other = (
        Teacher.fit(_features(), near[:30], near.molality[:30, 0], seed).label(near[30:])
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_salts_in_two_slots_are_one_to_the_teacher() -> None:
    target = torch.tensor([-1.0, -2.0, -4.0, -3.0], dtype=torch.float64)
    teacher = Teacher.fit(_features(), BATCH, target, seed=0)
    halves = replace(BATCH, salts=BATCH.salts.expand(-1, 2), molality=(BATCH.molality / 2).expand(-1, 2))
    assert torch.equal(teacher.label(halves), teacher.label(BATCH))
