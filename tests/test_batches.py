"""Mixtures as tensors: rows and back, products row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.batches import MixtureBatch, MixtureProduct, check_one_salt, concatenate
from surrogates.errors import InputError

SEEDS = st.integers(0, 2**31 - 1)


def make_batch(n: int, k: int, seed: int, s: int = 1) -> MixtureBatch:
    draw = torch.Generator().manual_seed(seed)
    return MixtureBatch(
        solvents=torch.randint(0, 50, (n, k), generator=draw),
        weights=torch.rand(n, k, generator=draw, dtype=torch.float64),
        salts=torch.randint(0, 50, (n, s), generator=draw),
        molality=5 * torch.rand(n, s, generator=draw, dtype=torch.float64),
        temperature_K=250 + 100 * torch.rand(n, generator=draw, dtype=torch.float64),
    )


def assert_equal(one: MixtureBatch, other: MixtureBatch) -> None:
    for name in ("solvents", "weights", "salts", "molality", "temperature_K"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


@given(st.integers(0, 6), st.integers(1, 4), st.integers(1, 3), SEEDS)
def test_rows_and_back_is_the_same_batch(n: int, k: int, s: int, seed: int) -> None:
    batch = make_batch(n, k, seed, s)
    rows = batch.to_rows()
    assert rows.shape == (n, 2 * k + 2 * s + 1)
    assert rows.dtype == torch.float64
    assert_equal(MixtureBatch.from_rows(rows, s), batch)


def test_a_row_in_words() -> None:
    batch = MixtureBatch(*map(torch.tensor, ([[3, 4]], [[0.2, 0.8]], [[7, 8]], [[1.0, 0.5]], [300.0])))
    expected = torch.tensor([[3, 4, 0.2, 0.8, 7, 8, 1, 0.5, 300]], dtype=torch.float64)
    torch.testing.assert_close(batch.to_rows(), expected)


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
    assert torch.equal(single.salts, batch.salts)
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
    conditions.molality[::2] = 0
    start = data.draw(st.integers(0, m * c), label="start")
    stop = data.draw(st.integers(start, m * c), label="stop")
    product = MixtureProduct(
        mixtures.solvents,
        mixtures.weights,
        conditions.salts[:, 0],
        conditions.molality[:, 0],
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
        conditions.salts[condition],
        conditions.molality[condition],
        conditions.temperature_K[condition],
    )
    assert torch.equal(product.salt_counts(), expected.salt_counts())
    assert len(product) == len(product.expand()) == stop - start
    assert_equal(product.expand(), expected)
    backwards = torch.arange(stop - start).flip(0)
    assert_equal(product.take(start + backwards), expected[backwards])


SALTED = replace(
    make_batch(4, 2, seed=0),
    salts=torch.tensor([[8, 9, 7], [9, 3, 8], [0, 5, 9], [7, 8, 0]]),
    molality=torch.tensor([[1.5, 0, 0.5], [0, 2, 0], [0, 0, 0], [0, 3, 1]], dtype=torch.float64),
)


def test_salts_are_counted_and_shared_by_molality() -> None:
    assert SALTED.salt_counts().tolist() == [2, 1, 0, 2]
    assert SALTED.salt_shares().tolist() == [[0.75, 0, 0.25], [0, 1, 0], [0, 0, 0], [0, 0.75, 0.25]]


def test_packed_salts_stand_first_and_take_no_more_slots_than_they_need() -> None:
    packed = SALTED.packed()
    assert packed.salts.tolist() == [[8, 7], [3, 0], [0, 0], [8, 0]]
    assert packed.molality.tolist() == [[1.5, 0.5], [2, 0], [0, 0], [3, 1]]
    assert torch.equal(packed.solvents, SALTED.solvents)
    bare = replace(SALTED, molality=torch.zeros(4, 3)).packed()
    assert [bare.salts.tolist(), bare.molality.tolist()] == [[[0]] * 4, [[0]] * 4]
    assert len(SALTED[:0].packed()) == 0


def test_one_salt_in_any_slot_is_one_salt() -> None:
    one = SALTED[1:3].of_one_salt()
    assert [one.salts.tolist(), one.molality.tolist()] == [[[3], [0]], [[2], [0]]]
    plain = make_batch(3, 2, seed=0)
    assert plain.of_one_salt() is plain
    check_one_salt(torch.ones(3))


def test_mixtures_of_several_salts_are_refused_where_one_is_taken() -> None:
    mend = "Take a model trained with encoder: diffmix, which takes any number of salts, and none."
    words = "; a model of encoder: molsets takes one salt a mixture. " + mend
    with pytest.raises(InputError) as caught:
        SALTED.of_one_salt()
    assert str(caught.value) == f"mixtures: of 4 mixtures 0 hold no salt and 2 more than one{words}"
    with pytest.raises(InputError) as caught:
        check_one_salt(SALTED.salt_counts())
    assert str(caught.value) == f"mixtures: of 4 mixtures 1 hold no salt and 2 more than one{words}"


@pytest.mark.parametrize(("salts", "width"), [(1, 9), (2, 8), (4, 9)])
def test_rows_of_another_number_of_salts_are_refused(salts: int, width: int) -> None:
    rows = torch.tensor([[0, 1, 0.3, 0.7, 2, 3, 0.5, 0.5, 298.15]], dtype=torch.float64)[:, :width]
    wanted = (
        f"rows of {width} numbers do not hold {salts} salts: 2 k \\+ 2 s \\+ 1 numbers were expected, "
        "whole ones where solvents and salts are named; give the number of salts"
    )
    with pytest.raises(ValueError, match=wanted):
        MixtureBatch.from_rows(rows, salts)
