"""What a comparison is played on: the pool, what each candidate truly is, and who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from campaigns.arenas import (
    Arena,
    Ensemble,
    SpaceMixtures,
    arena_of_cathodes,
    arena_of_replay,
    arena_of_space,
    arena_of_table,
    truth_of_space,
)
from campaigns.cathode_truth import Scoring, scored_cathodes
from campaigns.compare_config import (
    AnyComparison,
    CompareCathodesConfig,
    CompareConfig,
    StartConfig,
    comparison_kind,
)
from campaigns.compare_plots import Ternary
from campaigns.config import load_yaml_of_kind, resolve_job
from campaigns.constrained_list import ConstrainedSpace
from campaigns.constraint_config import ConstraintsConfig, used_files
from campaigns.oracles import FittedModel
from campaigns.pool_oracles import CathodePool, EmulatedPool, LaboratoryPool, MeasuredPool, PoolOracle
from campaigns.propose import constraints_of
from campaigns.replay import Replay
from campaigns.screen import model_directory
from campaigns.table_replay import TableReplay
from campaigns.worth import CONDUCTIVITY, Direction, Target
from surrogates.checkpoints import load_model, takes_one_salt
from surrogates.datasets import DATASETS, dataset, load_table
from surrogates.discharge_models import discharge_model
from surrogates.discharge_objectives import DischargeObjectives
from surrogates.ensemble import MixtureEnsemble
from surrogates.errors import InputError, Problem
from surrogates.laboratories import REPEATABILITY
from surrogates.law_ensemble import LawEnsemble
from surrogates.model_directories import model_hash
from surrogates.quantities import Floats
from surrogates.repeatability import is_log10_conductivity

_NOISE = 0.02
"""Of measurements of cathodes, as a share of the truth."""
_LIKE = 0.02
"""Weight fraction and mol/kg by which a candidate may lie beside a start that is named, unsaid."""


@dataclass(frozen=True)
class Contest:
    """All that a run needs; it pickles.

    Attributes:
        config: The comparison.
        arena: The pool.
        target: What is measured, and what it is worth.
        truth: `n`, what each candidate is without noise, in the target's unit, which no strategy sees; NaN of
            those of which every measurement failed.
        oracle: Who answers.
        named: Places of the starts that are named; empty where they are drawn.
        notes: A sentence for each thing that is strange.
        hashes: Of the models and files that it is played with, by what each is.
    """

    config: AnyComparison
    arena: Arena
    target: Target
    truth: Floats
    oracle: PoolOracle
    named: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    hashes: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def starts(self) -> int:
        """How many are measured before the first round."""
        given = self.config.starts
        return given if isinstance(given, int) else len(given)

    @cached_property
    def inside(self) -> Floats:
        """The truth as strategies would see it, `n`: the highest is the best."""
        return self.target.inside(self.truth)

    @cached_property
    def worth(self) -> Floats:
        """The truth as it is shown, `n`: of logarithms of conductivities the conductivity, mS/cm."""
        return self.target.shown(self.inside)

    @cached_property
    def top(self) -> Tensor:
        """Whether each candidate is among the best that are to be found, `n`, bool."""
        there = np.isfinite(self.inside)
        count = max(1, round(int(there.sum()) * self.config.top_percent / 100))
        top = torch.zeros(len(self.inside), dtype=torch.bool)
        order = np.argsort(np.where(there, -self.inside, np.inf), kind="stable")
        top[torch.from_numpy(order[:count])] = True
        return top

    def values(self, places: list[int], seed: int) -> list[float]:
        """Return what comes out of some candidates, as strategies see it; NaN of what failed."""
        return [float(value) for value in self.target.inside(self.oracle.measured(places, seed))]


def choose_comparison(job: str, seeds: int | None = None) -> AnyComparison:
    """Return the comparison that a YAML file or a bundled job describes.

    Args:
        job: A path or a name.
        seeds: Replaces the file's.

    Raises:
        InputError: If there is no such job or it does not describe a comparison.
    """
    path = resolve_job(job)
    config: AnyComparison = load_yaml_of_kind(path, comparison_kind)
    config = config.relative_to(path)
    return config if seeds is None else config.model_copy(update={"seeds": seeds})


def contest(config: AnyComparison, data_dir: Path | None = None, scoring: Scoring | None = None) -> Contest:
    """Return what a comparison needs.

    Args:
        config: The comparison.
        data_dir: Where data sets are looked for first.
        scoring: How cathodes are scored; needed for these alone.

    Raises:
        InputError: If a model, the data, the constraints or a start cannot be used.
    """
    if isinstance(config, CompareCathodesConfig):
        if scoring is None:
            raise ValueError("cathodes are scored before they are compared: give scoring")
        made = _of_cathodes(config, data_dir, scoring)
    else:
        made = _of_measurements(config, data_dir) if config.space is None else _of_space(config)
        made = replace(made, hashes=_hashes(config))
        _check_unknown_truth(config, made.hashes)
    _check_enough(made)
    return made


def ternary_of(config: AnyComparison) -> Ternary | None:
    """Return the pool of a comparison of three solvents; None of others, or where it would be flat.

    Raises:
        InputError: If the constraints or the emulator cannot be used.
    """
    if isinstance(config, CompareCathodesConfig) or config.space is None or len(config.space.solvents) != 3:
        return None
    _, mixtures = _arena_of(config, None)  # a map needs no model, which takes most of the time
    target, truth, _, _ = _truth_of(config, mixtures)
    one, two, three = mixtures.space.solvents
    worth = target.shown(target.inside(truth))
    ternary = Ternary((one, two, three), mixtures.rows[:, :3].numpy(), worth, target.shown_name)
    return None if ternary.is_flat else ternary


def _of_space(config: CompareConfig) -> Contest:
    arena, mixtures = _arena_of(config, None if config.model is None else _model(config.model))
    target, truth, oracle, notes = _truth_of(config, mixtures)
    if mixtures.model is not None and mixtures.model.target != target.name:
        who = "the virtual laboratory measures" if config.truth is None else "the emulator predicts"
        wrong = f"it predicts {mixtures.model.target}; {who} {target.name}"
        raise InputError(Problem(str(config.model), wrong, "Give another model."))
    if is_log10_conductivity(target.name):
        arena = replace(arena, repeatability=REPEATABILITY)  # as a campaign's process knows it
    if isinstance(config.starts, int):
        return Contest(config, arena, target, truth, oracle, notes=notes)
    named, apart = zip(*(_place(mixtures, start) for start in config.starts), strict=True)
    notes += tuple(note for note in apart if note)
    return Contest(config, arena, target, truth, oracle, named, notes)


def _of_measurements(config: CompareConfig, data_dir: Path | None) -> Contest:
    """Return the contest on measured data, mixtures or a table."""
    found, direction = _measured(config, data_dir)
    if np.isnan(found.means).all():
        where = "replay" if config.table is None else "table"
        raise InputError(Problem(where, "all of its measurements failed", "Give some that worked."))
    target = Target.of(found.target, direction, found.means)
    if isinstance(found, Replay):
        return Contest(
            config,
            arena_of_replay(found),
            target,
            found.means,
            MeasuredPool(found.measurements(), found.values),
        )
    return Contest(
        config, arena_of_table(found), target, found.means, MeasuredPool(found.rows, found.data.values)
    )


def _measured(config: CompareConfig, data_dir: Path | None) -> tuple[Replay | TableReplay, Direction]:
    if config.table is not None:
        table = config.table
        found = TableReplay.of_file(table.file, table.inputs, table.target, table.formula)
        return found, table.direction
    assert config.replay is not None
    asked = config.replay
    if asked.file is not None:
        return Replay.of_file(asked.file, asked.target, asked.columns, asked.units), asked.direction
    assert asked.dataset is not None
    entry = dataset(asked.dataset)
    if entry.load is None and entry.load_table is None:
        wrong = f"it holds {entry.what}, no measurements that could be a pool"
        others = ", ".join(other.name for other in DATASETS if other.load or other.load_table)
        raise InputError(Problem(f'data set "{entry.name}"', wrong, f"Name one that does: {others}."))
    if entry.load_table is None:
        return Replay.of_dataset(asked.dataset, data_dir), "highest"
    return TableReplay.of_table(load_table(asked.dataset, data_dir)), "lowest" if entry.lowest else "highest"


def _of_cathodes(config: CompareCathodesConfig, data_dir: Path | None, scoring: Scoring) -> Contest:
    """Return the contest on the compositions that a screen would rank, scored as it scores them."""
    model = discharge_model(config.truth.emulator, data_dir)
    rows, objective = scored_cathodes(config, model, scoring), config.objectives[0].objective()
    truth = rows["truth"].copy()
    noise = _NOISE if config.truth.noise is None else config.truth.noise
    arena = arena_of_cathodes(config.space.space(), torch.from_numpy(rows["candidate"].copy()))
    notes = (*DischargeObjectives(model, (objective,)).warnings(), *_beyond(rows["in_domain"]))
    return Contest(
        config,
        arena,
        Target.of(objective.name, "highest", truth),
        truth,
        CathodePool(truth, noise),
        notes=notes,
        hashes={"truth_sha256": model.sha256(), **_constraint_hashes(config)},
    )


def _arena_of(config: CompareConfig, model: Ensemble | None) -> tuple[Arena, SpaceMixtures]:
    """Return the feasible candidates of a comparison's space, in the same order whatever the model."""
    assert config.space is not None
    space = config.space.space()
    constrained = ConstrainedSpace.of(config.constraints or ConstraintsConfig(), space)
    arena = arena_of_space(space, constrained.mask, constraints_of(constrained), model)
    assert arena.mixtures is not None
    return arena, arena.mixtures


def _truth_of(
    config: CompareConfig, mixtures: SpaceMixtures
) -> tuple[Target, Floats, PoolOracle, tuple[str, ...]]:
    """Return what is measured of a space, what each candidate truly is, who answers, and what is strange.

    Raises:
        InputError: If there is no such emulator, or who answers does not know a mixture.
    """
    table, batch = mixtures.table, mixtures.batch
    if config.truth is None:
        oracle = LaboratoryPool(table, batch, config.failure_rate, CONDUCTIVITY.name)
        return CONDUCTIVITY, truth_of_space(mixtures).numpy(), oracle, ()
    model = _emulator(config.truth.emulator, mixtures)
    said = model.bind(table).predict(batch.to(torch.float32))
    truth = said.mean.double().numpy()
    target, pool = Target.of(model.target, "highest", truth), EmulatedPool(table, batch, model)
    return target, truth, pool, _beyond(said.in_domain.numpy())


def _beyond(in_domain: np.ndarray) -> tuple[str, ...]:
    """Return what there is to say of candidates that the model which is played as truth does not know."""
    unknown = int((~in_domain).sum())
    if not unknown:
        return ()
    return (f"{unknown:,} of {len(in_domain):,} candidates lie beyond what the emulator was trained on",)


def _emulator(name: str, mixtures: SpaceMixtures) -> FittedModel:
    model = load_model(model_directory(name))
    if takes_one_salt(model) and bool((mixtures.batch.salt_counts() != 1).any()):
        wrong = "some candidates have no salt; a model of encoder: molsets takes one salt a mixture"
        mend = "Remove the 0 from space.molality_mol_kg, or give a model trained with encoder: diffmix."
        raise InputError(Problem(f"emulator {name}", wrong, mend))
    return model


def _model(name: str) -> Ensemble:
    model = load_model(model_directory(name))
    if not isinstance(model, MixtureEnsemble | LawEnsemble):
        raise InputError(Problem(name, "it is no ensemble", "Give an ensemble, or null."))
    return model


def _place(mixtures: SpaceMixtures, start: StartConfig) -> tuple[int, str]:
    """Return the candidate nearest to a start, and what there is to say if it is another; else nothing."""
    variables, space = mixtures.variables, mixtures.space
    asked = torch.zeros(mixtures.rows.shape[1], dtype=torch.float64)
    for kind, names, among in (
        ("solvent", start.weight_fractions, space.solvents),
        ("salt", (start.salt,), space.salts),
    ):
        for name in names:
            if name not in among:
                mend = f"Its {kind}s are {', '.join(among)}."
                raise InputError(Problem('key "starts"', f'"{name}" is no {kind} of the space', mend))
    for name, share in start.weight_fractions.items():
        asked[variables.column(name)] = share
    asked[variables.column(start.salt)] = start.molality_mol_kg
    apart = (mixtures.rows - asked)[:, :-1]
    place = int(apart.norm(dim=1).argmin())
    if float(apart[place].abs().max()) <= _LIKE:
        return place, ""
    words, taken = (_in_words(variables.names, row) for row in (asked, mixtures.rows[place]))
    return place, f"no candidate is the start {words}; the nearest is measured, {taken}"


def _in_words(names: Sequence[str], amounts: Tensor) -> str:
    given = zip(names[:-1], amounts[:-1].tolist(), strict=True)  # without the temperature
    return ", ".join(f"{name} {amount:.4g}" for name, amount in given if amount > 0)


def _check_unknown_truth(config: CompareConfig, hashes: Mapping[str, str | None]) -> None:
    """Refuse one model as what is known before and as truth, however its directory is spelt."""
    if config.truth is None or config.model is None:
        return
    if hashes["model_sha256"] is not None and hashes["model_sha256"] == hashes["truth_sha256"]:
        wrong = f"model, {config.model}, and truth.emulator are one; who knows the truth has nothing to find"
        raise InputError(Problem(config.truth.emulator, wrong, "Give another model, or model: null."))


def _check_enough(made: Contest) -> None:
    config, candidates = made.config, len(made.arena)
    needed = config.rounds * config.batch + made.starts
    if needed > candidates:
        is_space = config.space is not None
        pool = "replay" if isinstance(config, CompareConfig) and config.replay is not None else "table"
        where, what = ("space", "fulfil all") if is_space else (pool, "were measured")
        wrong = f"{candidates} candidates {what}; starts and rounds measure {needed}"
        mend = "Measure fewer, or widen the space." if is_space else "Measure fewer."
        raise InputError(Problem(where, wrong, mend))


def _hashes(config: CompareConfig) -> dict[str, str | None]:
    """Return the hash of each model and file that a comparison is played with."""
    found = {"model_sha256": None if config.model is None else model_hash(model_directory(config.model))}
    if config.truth is not None:
        found["truth_sha256"] = model_hash(model_directory(config.truth.emulator))
    source = config.replay or config.table
    if source is not None and source.file is not None:
        found["file_sha256"] = sha256(source.file.read_bytes()).hexdigest()
    return found | _constraint_hashes(config)


def _constraint_hashes(config: AnyComparison) -> dict[str, str | None]:
    return {} if config.constraints is None else used_files(config.constraints)
