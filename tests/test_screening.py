"""The screen of a whole space against sorting all of it."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn import screening
from activelearn.screening import (
    ROW,
    Score,
    ScoredChunk,
    Screen,
    Standing,
    best,
    by_mean,
    by_probability_above,
    by_ucb,
    in_process,
    run,
)
from activelearn.spaces import MixtureSpace
from surrogates.errors import InputError
from surrogates.molecules import Component
from surrogates.prediction import Prediction
from tests.fake_model import FakeModel

SPACE = MixtureSpace(
    solvents={f"chain {n}": Component.of("C" * n + "O") for n in range(1, 13)},
    salts={name: Component.of(f"[Li+].[{name[2:]}-]") for name in ("LiF", "LiCl", "LiBr")},
    fraction_step=0.1,
    molality_mol_kg=(0.5, 1.0, 1.5),
)
SCREEN = Screen(SPACE, FakeModel().bind(SPACE.table), by_mean, top_k=100)


def last(standings: Iterator[Standing]) -> Standing:
    *_, standing = standings
    return standing


def rows(scores: Iterable[float]) -> np.ndarray:
    filled = np.zeros(len(scores := list(scores)), ROW)
    filled["score"], filled["candidate"] = scores, np.arange(len(scores))
    return filled


@given(st.lists(st.integers(-3, 3)), st.integers(1, 12), st.randoms())
def test_best_is_the_head_of_a_full_sort(scores: list[int], k: int, order: random.Random) -> None:
    shuffled = rows(scores)[order.sample(range(len(scores)), len(scores))]
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
    assert best(shuffled, k)["candidate"].tolist() == expected


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(1, 9), st.integers(1, 9), st.randoms())
def test_the_top_does_not_depend_on_the_order_of_chunks(
    scores: list[int], size: int, k: int, order: random.Random
) -> None:
    every = rows(scores)
    chunks = [range(s, min(s + size, len(scores))) for s in range(0, len(scores), size)]
    order.shuffle(chunks)
    standing = Standing()
    for chunk in chunks:
        standing = standing.after(ScoredChunk(chunk, best(every[chunk], k), 0, 0.0, 0.0), k)
    assert standing.top.tolist() == best(every, k).tolist()
    assert standing.candidates == len(scores)


@pytest.mark.parametrize("length", [1, 1000, 11_340, 65_536, 65_537, 10**6, 10**9, 10**10])
def test_chunks_follow_from_the_length_of_the_space(length: int) -> None:
    class Long(MixtureSpace):
        def __len__(self) -> int:
            return length

    screen = replace(SCREEN, space=Long(SPACE.solvents, SPACE.salts))
    size = screen.chunk_size
    assert size == {11_340: 1024, 65_536: 1024, 65_537: 2048, 10**9: 2**20}.get(length, size)
    assert 2**10 <= size <= 2**20
    if length <= 10**6:
        assert [i for chunk in screen.chunks() for i in chunk] == list(range(length))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (by_mean, [1.0, 2.0]),
        (partial(by_ucb, kappa=2.0), [2.0, 2.0]),
        (partial(by_probability_above, threshold=1.0), [0.5, 1.0]),
        (partial(by_probability_above, threshold=1.5), [0.0668072, 1.0]),  # 1.5 of its standard deviations
    ],
)
def test_scores_by_hand(score: Score, expected: list[float]) -> None:
    prediction = Prediction(
        mean=torch.tensor([1.0, 2.0]),
        epistemic=torch.tensor([0.16, 0.0]),
        aleatoric=torch.tensor([0.09, 1e-12]),
        in_domain=torch.tensor([True, False]),
        interval_factor=torch.tensor([1.6448536 / 1.5, 1.6]),
    )
    assert score(prediction).tolist() == pytest.approx(expected, rel=1e-5)
    assert score(prediction).dtype == torch.float64


def test_a_screen_gives_what_sorting_the_whole_space_gives(tmp_path: Path) -> None:
    standing = last(run(replace(SCREEN, shards=tmp_path), in_process))
    whole = SCREEN.predictor.predict(SPACE[:])
    order = np.argsort(-whole.mean.double().numpy(), kind="stable")[:100]
    assert standing.top["candidate"].tolist() == order.tolist()
    assert standing.top["mean"].tolist() == whole.mean[order].tolist()
    assert standing.candidates == len(SPACE) == 5346
    assert standing.in_domain == int(whole.in_domain.sum())
    assert len(standing.finished) == 6

    shards = sorted(tmp_path.iterdir())
    assert [path.name for path in shards][:2] == ["part-0000-1024.parquet", "part-1024-2048.parquet"]
    frame = pd.concat([pd.read_parquet(path) for path in shards])
    assert list(frame) == list(ROW.names)
    assert frame["interval_factor"].tolist() == whole.interval_factor.tolist()
    assert frame["candidate"].tolist() == list(range(len(SPACE)))
    assert frame["mean"].tolist() == whole.mean.tolist()
    assert frame["in_domain"].tolist() == whole.in_domain.tolist()
    assert torch.equal(torch.tensor(frame["std_epistemic"].to_numpy()), whole.epistemic.sqrt())


def test_a_screen_of_any_block_size_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = last(run(SCREEN, in_process)).top
    monkeypatch.setattr(screening, "BLOCK", 37)
    assert last(run(SCREEN, in_process)).top.tobytes() == expected.tobytes()


@given(st.data())
def test_a_screen_may_stop_anywhere_and_go_on(data: st.DataObject) -> None:
    whole = last(run(SCREEN, in_process))
    standings = list(run(SCREEN, in_process))
    stopped = data.draw(st.sampled_from(standings[:-1]))
    done: list[int] = []

    def watched(screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
        for scored in in_process(screen, chunks):
            done.append(scored.chunk.start)
            yield scored

    resumed = last(run(SCREEN, watched, stopped))
    assert resumed.top.tobytes() == whole.top.tobytes()
    assert (resumed.candidates, resumed.in_domain) == (whole.candidates, whole.in_domain)
    assert not stopped.finished & set(done)


def test_the_threads_of_the_caller_come_back() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        standings = run(SCREEN, in_process)
        next(standings)
        assert torch.get_num_threads() == 1
        list(standings)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_model_that_gives_no_number_is_refused() -> None:
    broken = replace(SCREEN, predictor=FakeModel(broken=1.2).bind(SPACE.table))
    with pytest.raises(InputError) as error:
        last(run(broken, in_process))
    assert str(error.value) == (
        "candidate 2: the model gives it a mean of nan and a score of nan; finite numbers were expected. "
        "Train the model again or give another."
    )


def test_a_directory_that_a_worker_cannot_see_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node-7")
    with pytest.raises(InputError) as error:
        last(run(replace(SCREEN, shards=tmp_path / "elsewhere"), in_process))
    assert str(error.value) == (
        f"{tmp_path}/elsewhere: a worker on node-7 cannot write its shard: No such file or directory. "
        "Give a directory that every machine of the cluster can write to, or keep no shards."
    )


def test_a_screen_pickles() -> None:
    screen = replace(SCREEN, score=partial(by_ucb, kappa=1.0))
    copy = pickle.loads(pickle.dumps(screen))
    chunk = range(1000, 1100)
    assert copy.score_chunk(chunk).top.tobytes() == screen.score_chunk(chunk).top.tobytes()
