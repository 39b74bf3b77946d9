"""A screen for several objectives, or a named one, against ranking the whole space at once."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn import screening
from activelearn.pareto import by_pareto_rank
from activelearn.screening import ScoredChunk, Screen, Standing, by_mean, in_process, run
from surrogates.errors import InputError
from surrogates.prediction import Prediction
from tests.synthetic_cathodes import NAMES, SPACE, FakeCathodeModel
from tests.test_screening import last

SCREEN = Screen(SPACE, FakeCathodeModel().bind(SPACE.table), by_mean, 50, objectives=NAMES)


def ranked(standing: Standing) -> list[tuple[object, ...]]:
    best, rank = by_pareto_rank(standing.top, NAMES, 50)
    return [*best.tolist(), *rank.tolist()]


def ranks(mean: torch.Tensor) -> np.ndarray:
    """Pareto ranks by taking away one front after the other, from all pairs."""
    better, never_worse = (op(mean[None], mean[:, None]) for op in (torch.gt, torch.ge))
    dominated = (never_worse.all(-1) & better.any(-1)).numpy()
    rank = np.zeros(len(mean), dtype=int)
    front = 0
    while (left := rank == 0).any():
        front += 1
        rank[left & ~dominated[:, left].any(-1)] = front
    return rank


def test_a_screen_gives_what_ranking_the_whole_space_gives(tmp_path: Path) -> None:
    standing = last(run(replace(SCREEN, shards=tmp_path), in_process))
    assert len(standing.finished) == 3
    whole = SCREEN.predictor.predict(SPACE[:])
    best, rank = by_pareto_rank(standing.top, NAMES, 50)
    expected = ranks(whole.mean)
    order = np.lexsort((np.arange(len(SPACE)), -whole.mean[:, 0].numpy(), expected))[:50]
    assert best["candidate"].tolist() == order.tolist()
    assert rank.tolist() == expected[order].tolist()
    assert max(rank) > 1
    assert standing.candidates == len(SPACE)

    frame = pd.concat([pd.read_parquet(path) for path in sorted(tmp_path.iterdir())])
    numbers = ("mean", "std_epistemic", "std_aleatoric")
    columns = [f"{name}_{number}" for name in NAMES for number in numbers]
    assert list(frame) == ["candidate", *columns, "interval_factor", "in_domain"]
    assert frame[[f"{name}_mean" for name in NAMES]].to_numpy().tolist() == whole.mean.tolist()
    assert frame["retention_30_std_epistemic"].to_numpy() == pytest.approx(whole.mean[:, 1].abs().numpy())
    assert frame["in_domain"].tolist() == whole.in_domain.tolist()


@given(st.randoms())
def test_the_list_does_not_depend_on_the_order_of_chunks(order: random.Random) -> None:
    def shuffled(screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
        some = list(chunks)
        order.shuffle(some)
        return in_process(screen, some)

    assert ranked(last(run(SCREEN, shuffled))) == ranked(last(run(SCREEN, in_process)))


def test_a_screen_of_any_block_size_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ranked(last(run(SCREEN, in_process)))
    monkeypatch.setattr(screening, "BLOCK", 100)
    assert ranked(last(run(SCREEN, in_process))) == expected


def test_a_pickled_screen_gives_the_same() -> None:
    copy = pickle.loads(pickle.dumps(SCREEN))
    chunk = range(1000, 1100)
    assert copy.score_chunk(chunk).top.tobytes() == SCREEN.score_chunk(chunk).top.tobytes()


def test_one_objective_is_ranked_by_its_score(tmp_path: Path) -> None:
    class First:
        target = NAMES[0]

        def predict(self, batch: object) -> Prediction:
            both = SCREEN.predictor.predict(batch)
            parts = (both.mean[:, :1], both.epistemic[:, :1], both.aleatoric[:, :1])
            return Prediction(*parts, both.in_domain, both.interval_factor)

    screen = replace(SCREEN, predictor=First(), objectives=NAMES[:1], shards=tmp_path)
    standing = last(run(screen, in_process))
    mean = SCREEN.predictor.predict(SPACE[:]).mean[:, 0]
    order = np.argsort(-mean.double().numpy(), kind="stable")[:50]
    assert standing.top["candidate"].tolist() == order.tolist()
    assert standing.top["score"].tolist() == mean[order].double().tolist()
    frame = pd.read_parquet(min(tmp_path.iterdir()))
    assert list(frame)[1] == "capacity_mAh_g_mean"
    assert list(frame)[-2:] == ["in_domain", "score"]


def test_a_model_that_gives_no_number_is_refused_by_its_objective() -> None:
    predictor = FakeCathodeModel(broken=0.08).bind(SPACE.table)
    first = 1000 + int((SPACE[1000:1200].fluorine > 0.08).nonzero()[0])
    assert first > 1000
    with pytest.raises(InputError) as error:
        replace(SCREEN, predictor=predictor).score_chunk(range(1000, 1200))
    assert str(error.value) == (
        f"candidate {first}: the model gives it a mean of retention_30 of nan and a score of nan; finite "
        "numbers were expected. Train the model again or give another."
    )
