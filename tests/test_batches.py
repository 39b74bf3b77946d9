"""Mixtures as tensors: rows and back, products row by row."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.batches import MixtureBatch, MixtureProduct, concatenate

SEEDS = st.integers(0, 2**31 - 1)


def make_batch(n: int, k: int, seed: int) -> MixtureBatch:
    draw = torch.Generator().manual_seed(seed)
    return MixtureBatch(
        solvents=torch.randint(0, 50, (n, k), generator=draw),
        weights=torch.rand(n, k, generator=draw, dtype=torch.float64),
        salt=torch.randint(0, 50, (n,), generator=draw),
        molality=5 * torch.rand(n, generator=draw, dtype=torch.float64),
        temperature_K=250 + 100 * torch.rand(n, generator=draw, dtype=torch.float64),
    )


def assert_equal(one: MixtureBatch, other: MixtureBatch) -> None:
    for name in ("solvents", "weights", "salt", "molality", "temperature_K"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


@given(st.integers(0, 6), st.integers(1, 4), SEEDS)
def test_rows_and_back_is_the_same_batch(n: int, k: int, seed: int) -> None:
    batch = make_batch(n, k, seed)
    rows = batch.to_rows()
    assert rows.shape == (n, 2 * k + 3)
    assert rows.dtype == torch.float64
    assert_equal(MixtureBatch.from_rows(rows), batch)


def test_gradients_pass_through_all_but_indices() -> None:
    rows = make_batch(3, 2, seed=0).to_rows().requires_grad_()
    batch = MixtureBatch.from_rows(rows)
    (batch.weights.sum() + batch.molality.sum() + batch.temperature_K.sum()).backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad, torch.tensor([[0, 0, 1, 1, 0, 1, 1]] * 3, dtype=torch.float64))


@given(st.integers(1, 6), st.integers(1, 4), SEEDS)
def test_fractions_sum_to_one_and_ignore_scale(n: int, k: int, seed: int) -> None:
    batch = make_batch(n, k, seed)
    fractions = batch.fractions()
    torch.testing.assert_close(fractions.sum(-1), torch.ones(n, dtype=torch.float64))
    torch.testing.assert_close(fractions * batch.weights.sum(-1, keepdim=True), batch.weights)


def test_rows_are_chosen_by_slice_and_by_index() -> None:
    batch = make_batch(5, 2, seed=1)
    assert len(batch) == 5
    assert len(batch[1:3]) == 2
    assert_equal(batch[1:3], batch[torch.tensor([1, 2])])
    assert_equal(batch[torch.tensor([True, False, False, False, True])], batch[torch.tensor([0, 4])])


def test_another_type_changes_all_but_indices() -> None:
    batch = make_batch(3, 2, seed=0)
    single = batch.to(torch.float32)
    assert [single.weights.dtype, single.molality.dtype, single.temperature_K.dtype] == [torch.float32] * 3
    assert torch.equal(single.solvents, batch.solvents)
    assert torch.equal(single.salt, batch.salt)
    torch.testing.assert_close(single.weights.double(), batch.weights, rtol=1e-6, atol=0)
    assert_equal(batch.to(torch.float64), batch)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), SEEDS)
def test_batches_are_joined_in_order(sizes: list[int], seed: int) -> None:
    batches = [make_batch(n, 2, seed + place) for place, n in enumerate(sizes)]
    joined = concatenate(*batches)
    assert len(joined) == sum(sizes)
    assert torch.equal(joined.to_rows(), torch.cat([batch.to_rows() for batch in batches]))


@given(st.integers(1, 5), st.integers(1, 4), st.data(), SEEDS)
def test_a_product_expands_as_two_loops_would(m: int, c: int, data: st.DataObject, seed: int) -> None:
    mixtures, conditions = make_batch(m, 2, seed), make_batch(c, 1, seed + 1)
    start = data.draw(st.integers(0, m * c), label="start")
    stop = data.draw(st.integers(start, m * c), label="stop")
    product = MixtureProduct(
        mixtures.solvents,
        mixtures.weights,
        conditions.salt,
        conditions.molality,
        conditions.temperature_K,
        start,
        stop,
    )
    pairs = [(i, j) for i in range(m) for j in range(c)][start:stop]
    mixture = torch.tensor([i for i, _ in pairs], dtype=torch.int64)
    condition = torch.tensor([j for _, j in pairs], dtype=torch.int64)
    expected = MixtureBatch(
        mixtures.solvents[mixture],
        mixtures.weights[mixture],
        conditions.salt[condition],
        conditions.molality[condition],
        conditions.temperature_K[condition],
    )
    assert len(product) == len(product.expand()) == stop - start
    assert_equal(product.expand(), expected)
