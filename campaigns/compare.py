"""Strategies side by side: the same pool, starts, budget and seeds; who finds the better mixture sooner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from activelearn.shards import clear_unfinished, written_whole
from campaigns.arenas import Arena
from campaigns.cathode_truth import check_ours
from campaigns.compare_config import AnyComparison
from campaigns.contests import Contest
from campaigns.learning import Learner, Learnt, LearntNetworks
from campaigns.report import progress
from campaigns.strategies import Name, View, learner, strategy
from surrogates.errors import InputError, Problem

_ROUND = 1000
"""Seeds of rounds are so far apart."""


def play(asked: Contest, name: Name, seed: int) -> pd.DataFrame:
    """Return a campaign of one strategy: a row for the starts, then one for each round.

    `strategy`, `seed`, `round`, `experiments` so far, `best` true value measured so far as `Target.shown`
    has it, `regret` (what is missing to the optimum, see `Target.regret`), `found` (share of the best
    candidates), all three of experiments that did not fail; `infeasible` proposals of the round, `seconds` a
    proposal took, `places` measured in it.
    """
    torch.set_num_threads(1)
    config, arena = asked.config, asked.arena
    measured = list(asked.named) or _drawn(len(arena), asked.starts, seed)
    values = asked.values(measured, seed)
    rows = [_row(asked, name, seed, 0, measured, values, measured, 0.0)]
    learns = learner(name)
    learnt: Learnt | LearntNetworks | None = None
    for number in range(1, config.rounds + 1):
        started = perf_counter()
        if learns is not None:
            learnt = _learnt(learns, config, arena, measured, values, seed, number, learnt)
        round_seed = seed * _ROUND + number
        view = View(arena, tuple(measured), tuple(values), asked.starts, learnt, round_seed)
        chosen = strategy(name)(view, config.batch)
        seconds = (perf_counter() - started) / config.batch
        measured += chosen
        values += asked.values(chosen, seed)
        rows.append(_row(asked, name, seed, number, measured, values, chosen, seconds))
    return pd.DataFrame(rows)


def compare_to_directory(
    asked: Contest, out: Path, workers: int | None, resume: bool, console: Console
) -> pd.DataFrame:
    """Play all strategies with all seeds on Ray, and keep each campaign as it ends.

    Args:
        asked: The comparison.
        out: Directory of the results; `runs/` in it keeps finished campaigns.
        workers: Processes; by default one a core. What comes out does not depend on them.
        resume: Go on where an earlier call of the same comparison stopped.
        console: Where progress is shown.

    Returns:
        All rows of all campaigns, by strategy, seed and round.

    Raises:
        InputError: If `out` holds another comparison, or one to be resumed.
    """
    runs, config = out / "runs", asked.config
    _open(out, asked, resume)
    clear_unfinished(runs)
    files = {
        (name, seed): runs / f"{name}-{seed}.csv"
        for name in config.strategies
        for seed in range(config.seeds)
    }
    left = [key for key, file in files.items() if not file.exists()]
    if left:
        done = len(files) - len(left)
        with progress(console, "campaigns", len(files)) as told:
            for (name, seed), rows in _played(asked, left, workers):
                with written_whole(files[name, seed]) as part:
                    rows.to_csv(part, index=False)
                done += 1
                told(done)
    return pd.concat([pd.read_csv(file) for file in files.values()], ignore_index=True)


def _played(
    asked: Contest, left: list[tuple[Name, int]], workers: int | None
) -> Iterator[tuple[tuple[Name, int], pd.DataFrame]]:
    import ray  # takes a second that --help need not wait

    from activelearn.cluster import first_ended, ray_engine

    with ExitStack() as stack:
        stack.enter_context(ray_engine(workers))
        task = ray.remote(num_cpus=1)(play)
        shared = ray.put(asked)
        running = {task.remote(shared, name, seed): (name, seed) for name, seed in left}
        while running:
            ended, rows = first_ended([*running])
            yield running.pop(ended), rows


def _open(out: Path, asked: Contest, resume: bool) -> None:
    """Make the directory, or check that it holds this comparison and may be gone on with.

    Raises:
        InputError: If not.
    """
    record = out / "run.json"
    facts = {"config": asked.config.model_dump(mode="json"), **asked.hashes}
    facts["sha256"] = sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    if record.exists():
        try:
            known = json.loads(record.read_text(encoding="utf-8")).get("sha256")
        except (ValueError, AttributeError):
            wrong = "it cannot be read, so that what stands beside it is not known"
            raise InputError(Problem(str(record), wrong, "Give another --out.")) from None
        if known != facts["sha256"]:
            raise InputError(Problem(str(out), "another comparison stands here", "Give another --out."))
        if not resume:
            wrong = "this comparison stands here already"
            raise InputError(Problem(str(out), wrong, "Add --resume, or give another --out."))
        return
    check_ours(out)
    (out / "runs").mkdir(parents=True, exist_ok=True)
    with written_whole(record) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _drawn(n: int, count: int, seed: int) -> list[int]:
    return [int(place) for place in np.random.default_rng(seed).choice(n, count, replace=False)]


def _infeasible(arena: Arena, places: list[int]) -> int:
    if arena.mixtures is None:
        return 0
    rows = arena.mixtures.rows[torch.tensor(places)]
    return int((~arena.mixtures.constraints.is_feasible(rows)).sum())


def _learnt(
    learns: Learner,
    config: AnyComparison,
    arena: Arena,
    measured: list[int],
    values: list[float],
    seed: int,
    number: int,
    last: Learnt | LearntNetworks | None,
) -> Learnt | LearntNetworks:
    """Return what a learner has learnt before a round."""
    worked = np.isfinite(values) if config.retrain_every else np.zeros(len(values), dtype=bool)
    places = torch.tensor(np.array(measured)[worked], dtype=torch.int64)
    target = torch.tensor(np.array(values)[worked])
    is_new = last is None or (config.retrain_every and (number - 1) % config.retrain_every == 0)
    return learns(arena, places, target, seed, None if is_new else last)


def _row(
    asked: Contest,
    name: Name,
    seed: int,
    number: int,
    measured: list[int],
    values: list[float],
    new: list[int],
    seconds: float,
) -> dict[str, object]:
    worked = [place for place, value in zip(measured, values, strict=True) if np.isfinite(value)]
    truth = asked.inside[worked]
    return {
        "strategy": name,
        "seed": seed,
        "round": number,
        "experiments": len(measured),
        "best": asked.target.best_shown(truth),
        "regret": asked.target.regret(truth, asked.inside),
        "found": float(asked.top[worked].sum() / asked.top.sum()),
        "infeasible": _infeasible(asked.arena, new),
        "seconds": seconds,
        "places": " ".join(map(str, new)),
    }
