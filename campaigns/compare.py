"""Strategies side by side: the same pool, starts, budget and seeds; who finds the better mixture sooner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from torch import Tensor

from activelearn.chemical_constraints import MixtureVariables
from activelearn.shards import clear_unfinished, written_whole
from campaigns.arenas import TARGET, Arena, Ensemble, arena_of_replay, arena_of_space, truth_of_space
from campaigns.compare_config import CompareConfig, StartConfig
from campaigns.compare_plots import Ternary
from campaigns.config import load_yaml, resolve_job
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import ConstraintsConfig
from campaigns.learning import Learner, Learnt, LearntNetworks
from campaigns.oracles import Oracle, VirtualLaboratory
from campaigns.propose import constraints_of
from campaigns.replay import Replay
from campaigns.report import progress
from campaigns.screen import model_directory
from campaigns.strategies import Name, View, learner, strategy
from surrogates.checkpoints import load_model
from surrogates.ensemble import MixtureEnsemble
from surrogates.errors import InputError, Problem
from surrogates.law_ensemble import LawEnsemble
from surrogates.model_directories import model_hash

_ROUND = 1000
"""Seeds of rounds are so far apart."""


@dataclass(frozen=True)
class Contest:
    """All that a run needs; it pickles.

    Attributes:
        config: The comparison.
        arena: The pool.
        truth: `n`, what each candidate is without noise, which no strategy sees.
        replay: The measurements, where they answer; else the virtual laboratory does.
        named: Places of the starts that are named; empty where they are drawn.
    """

    config: CompareConfig
    arena: Arena
    truth: Tensor
    replay: Replay | None
    named: tuple[int, ...]

    @property
    def worth(self) -> Tensor:
        """What counts, `n`: conductivity [mS/cm]."""
        return 10 ** (self.truth + 3)

    @property
    def top(self) -> Tensor:
        """Whether each candidate is among the best that are to be found, `n`, bool."""
        count = max(1, round(len(self.truth) * self.config.top_percent / 100))
        top = torch.zeros(len(self.truth), dtype=torch.bool)
        top[self.truth.argsort(descending=True, stable=True)[:count]] = True
        return top


def choose_comparison(job: str, seeds: int | None = None) -> CompareConfig:
    """Return the comparison that a YAML file or a bundled job describes.

    Args:
        job: A path or a name.
        seeds: Replaces the file's.

    Raises:
        InputError: If there is no such job or it does not describe a comparison.
    """
    path = resolve_job(job)
    config = load_yaml(path, CompareConfig).relative_to(path)
    return config if seeds is None else config.model_copy(update={"seeds": seeds})


def contest(config: CompareConfig, data_dir: Path | None = None) -> Contest:
    """Return what a comparison needs.

    Raises:
        InputError: If the model, the data set, the constraints or a start cannot be used.
    """
    if config.replay is not None:
        replay = Replay.of_dataset(config.replay, data_dir)
        arena = arena_of_replay(replay)
        _check_enough(config, len(arena), int(config.starts))  # type: ignore[arg-type]
        return Contest(config, arena, torch.from_numpy(replay.means), replay, ())
    arena = _arena_of(config, None if config.model is None else _model(config.model))
    named = () if isinstance(config.starts, int) else tuple(_place(arena, one) for one in config.starts)
    _check_enough(config, len(arena), len(named) or int(config.starts))  # type: ignore[arg-type]
    return Contest(config, arena, truth_of_space(arena), None, named)


def ternary_of(config: CompareConfig) -> Ternary | None:
    """Return the pool of a comparison of three solvents; None of others, or where it would be flat.

    Raises:
        InputError: If the constraints cannot be used.
    """
    if config.space is None or len(config.space.solvents) != 3:
        return None
    arena = _arena_of(config, None)  # a map needs no model, which takes most of the time
    assert arena.space is not None
    variables = MixtureVariables(arena.space.solvents, arena.space.salts)
    shares = variables.rows(arena.batch, arena.table)[:, :3].numpy()
    one, two, three = arena.space.solvents
    ternary = Ternary((one, two, three), shares, (10 ** (truth_of_space(arena) + 3)).numpy())
    return None if ternary.is_flat else ternary


def _check_enough(config: CompareConfig, candidates: int, starts: int) -> None:
    needed = config.rounds * config.batch + starts
    if needed > candidates:
        where, what = ("space", "fulfil all") if config.replay is None else ("replay", "were measured")
        wrong = f"{candidates} candidates {what}; starts and rounds measure {needed}"
        mend = "Measure fewer, or widen the space." if config.replay is None else "Measure fewer."
        raise InputError(Problem(where, wrong, mend))


def play(asked: Contest, name: Name, seed: int) -> pd.DataFrame:
    """Return a campaign of one strategy: a row for the starts, then one for each round.

    `strategy`, `seed`, `round`, `experiments` so far, `best` true conductivity measured so far [mS/cm],
    `regret` (what is missing to the optimum, as a share of it), `found` (share of the best candidates), both
    of experiments that did not fail; `infeasible` proposals of the round, `seconds` a proposal took, `places`
    measured in it.
    """
    torch.set_num_threads(1)
    config, arena = asked.config, asked.arena
    oracle: Oracle = asked.replay or VirtualLaboratory(
        seed=seed, failure_rate=config.failure_rate, target=TARGET
    )
    measured = list(asked.named) or _drawn(len(arena), int(config.starts), seed)  # type: ignore[arg-type]
    starts = len(measured)
    values = _measure(oracle, arena, measured)
    rows = [_row(asked, name, seed, 0, measured, values, measured, 0.0)]
    learns = learner(name)
    learnt: Learnt | LearntNetworks | None = None
    for number in range(1, config.rounds + 1):
        started = perf_counter()
        if learns is not None:
            learnt = _learnt(learns, config, arena, measured, values, seed, number, learnt)
        round_seed = seed * _ROUND + number
        view = View(arena, tuple(measured), tuple(values), starts, learnt, round_seed)
        chosen = strategy(name)(view, config.batch)
        seconds = (perf_counter() - started) / config.batch
        measured += chosen
        values += _measure(oracle, arena, chosen)
        rows.append(_row(asked, name, seed, number, measured, values, chosen, seconds))
    return pd.DataFrame(rows)


def compare_to_directory(
    config: CompareConfig,
    out: Path,
    workers: int | None,
    resume: bool,
    console: Console,
    data_dir: Path | None = None,
) -> pd.DataFrame:
    """Play all strategies with all seeds on Ray, and keep each campaign as it ends.

    Args:
        config: The comparison.
        out: Directory of the results; `runs/` in it keeps finished campaigns.
        workers: Processes; by default one a core. What comes out does not depend on them.
        resume: Go on where an earlier call of the same comparison stopped.
        console: Where progress is shown.
        data_dir: Where a data set is looked for first.

    Returns:
        All rows of all campaigns, by strategy, seed and round.

    Raises:
        InputError: If something cannot be used, or `out` holds another comparison, or one to be resumed.
    """
    runs = out / "runs"
    asked = contest(config, data_dir)
    _open(out, config, resume)
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

    from activelearn.cluster import ray_engine

    with ExitStack() as stack:
        stack.enter_context(ray_engine(workers))
        task = ray.remote(num_cpus=1)(play)
        shared = ray.put(asked)
        running = {task.remote(shared, name, seed): (name, seed) for name, seed in left}
        while running:
            (ended,), _ = ray.wait([*running], num_returns=1)
            yield running.pop(ended), ray.get(ended)


def _open(out: Path, config: CompareConfig, resume: bool) -> None:
    """Make the directory, or check that it holds this comparison and may be gone on with.

    Raises:
        InputError: If not.
    """
    record = out / "run.json"
    facts = {"config": config.model_dump(mode="json"), "model_sha256": _hash(config)}
    facts["sha256"] = sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    if record.exists():
        known = json.loads(record.read_text(encoding="utf-8")).get("sha256")
        if known != facts["sha256"]:
            raise InputError(Problem(str(out), "another comparison stands here", "Give another --out."))
        if not resume:
            wrong = "this comparison stands here already"
            raise InputError(Problem(str(out), wrong, "Add --resume, or give another --out."))
        return
    if out.exists() and any(out.iterdir()):
        wrong = "the directory holds something else"
        raise InputError(Problem(str(out), wrong, "Give another --out."))
    (out / "runs").mkdir(parents=True, exist_ok=True)
    with written_whole(record) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _arena_of(config: CompareConfig, model: Ensemble | None) -> Arena:
    """Return the feasible candidates of a comparison's space, in the same order whatever the model."""
    assert config.space is not None
    space = config.space.space()
    constrained = ConstrainedSpace.of(config.constraints or ConstraintsConfig(), space)
    return arena_of_space(space, constrained.mask, constraints_of(constrained), model)


def _hash(config: CompareConfig) -> str | None:
    return None if config.model is None else model_hash(model_directory(config.model))


def _model(name: str) -> Ensemble:
    model = load_model(model_directory(name))
    if not isinstance(model, MixtureEnsemble | LawEnsemble):
        raise InputError(Problem(name, "it is no ensemble", "Give an ensemble of conductivity, or null."))
    if model.target != TARGET:
        wrong = f"it predicts {model.target}; the virtual laboratory measures {TARGET}"
        raise InputError(Problem(name, wrong, "Give another model."))
    return model


def _place(arena: Arena, start: StartConfig) -> int:
    """Return the candidate nearest to a start."""
    assert arena.space is not None
    variables = MixtureVariables(arena.space.solvents, arena.space.salts)
    x = variables.rows(arena.batch, arena.table)
    asked = torch.zeros(x.shape[1], dtype=torch.float64)
    try:
        for name, share in start.weight_fractions.items():
            asked[variables.column(name)] = share
        asked[variables.column(start.salt)] = start.molality_mol_kg
    except ValueError as error:
        raise InputError(Problem('key "starts"', str(error), "Name components of the space.")) from None
    return int((x - asked)[:, :-1].norm(dim=1).argmin())


def _drawn(n: int, count: int, seed: int) -> list[int]:
    return [int(place) for place in np.random.default_rng(seed).choice(n, count, replace=False)]


def _infeasible(arena: Arena, places: list[int]) -> int:
    if arena.space is None or arena.constraints is None:
        return 0
    variables = MixtureVariables(arena.space.solvents, arena.space.salts)
    x = variables.rows(arena.batch[torch.tensor(places)], arena.table)
    return int((~arena.constraints.is_feasible(x)).sum())


def _measure(oracle: Oracle, arena: Arena, places: list[int]) -> list[float]:
    found = oracle.measure(arena.frame(places))
    return found[oracle.target].astype(float).tolist()


def _learnt(
    learns: Learner,
    config: CompareConfig,
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
    worth, top = asked.worth, asked.top
    worked = [place for place, value in zip(measured, values, strict=True) if np.isfinite(value)]
    best = float(worth[worked].max()) if worked else 0.0
    return {
        "strategy": name,
        "seed": seed,
        "round": number,
        "experiments": len(measured),
        "best": best,
        "regret": 1 - best / float(worth.max()),
        "found": float(top[worked].sum() / top.sum()),
        "infeasible": _infeasible(asked.arena, new),
        "seconds": seconds,
        "places": " ".join(map(str, new)),
    }
