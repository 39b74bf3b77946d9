"""The screen from a configuration and a model to the files of a ranked list."""

from __future__ import annotations

import platform
from collections.abc import Collection
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import pandas as pd
from rich.console import Console

from activelearn.screening import Engine, Screen, Standing, in_process, run
from activelearn.spaces import MixtureSpace
from campaigns.cathode_config import CathodeScreenConfig, are_cathodes
from campaigns.config import load_yaml_of_kind, resolve_job
from campaigns.constrained_list import AnyConstrained, constrained_by, left_out
from campaigns.constraint_config import used_files
from campaigns.report import print_best, progress, watched
from campaigns.screen_config import ScreenConfig
from campaigns.screen_record import ScreenRecord, is_grid, ranked_table
from surrogates.checkpoints import SHIPPED, load_card, load_model, takes_one_salt
from surrogates.discharge_models import AnyDischargeModel, discharge_model
from surrogates.discharge_objectives import DischargeObjectives, Objective
from surrogates.errors import InputError, Problem
from surrogates.model_directories import model_hash
from surrogates.prediction import Model
from surrogates.student_card import StandsFor, TaughtSpace

AnyScreen = ScreenConfig | CathodeScreenConfig


@dataclass(frozen=True)
class ChosenModel:
    """A model with what `run.json` says of it.

    Attributes:
        model: The model.
        facts: Its hash, and what its card says of the data and the seeds it was trained with.
        load_s: Time it took to load, s.
        warnings: A sentence for each thing that is asked of it and that it was not trained on.
    """

    model: Model
    facts: dict[str, Any]
    load_s: float
    warnings: tuple[str, ...] = ()


def choose_screen(job: str, top_k: int | None, model: str | None = None) -> AnyScreen:
    """Return the screen that a YAML file or a bundled job describes.

    Args:
        job: A path or a name.
        top_k: Replaces the file's.
        model: Replaces the file's, of a screen of cathodes.

    Raises:
        InputError: If there is no such job or it does not describe a screen.
    """
    path = resolve_job(job)
    config: AnyScreen = load_yaml_of_kind(path, _kind)
    if isinstance(config, ScreenConfig) or model is None:
        config = config.relative_to(path)
    else:
        config = config.model_copy(update={"model": model})
    return config if top_k is None else config.model_copy(update={"top_k": top_k})


def _kind(document: object) -> type[AnyScreen]:
    return CathodeScreenConfig if are_cathodes(document) else ScreenConfig


def model_for(config: AnyScreen, model: str | None) -> ChosenModel:
    """Load the model of a screen; of mixtures `model`, by default that of MolSets which ships.

    Raises:
        InputError: If it is none.
    """
    if isinstance(config, CathodeScreenConfig):
        return choose_discharge_model(config)
    chosen = choose_model(model or SHIPPED[0])
    if stands_for := chosen.facts.get("stands_for"):
        beyond = StandsFor.model_validate(stands_for).space.beyond(taught_space(config.space.space()))
        warning = (
            f"the model stands for an ensemble and was taught on a space beyond which this one goes in "
            f"{', '.join(beyond)}; what the ensemble says there it does not know"
        )
        return replace(chosen, warnings=(warning,) if beyond else ())
    return chosen


def taught_space(space: MixtureSpace) -> TaughtSpace:
    """Return the factors of a space as the card of a student keeps them."""
    return TaughtSpace(
        solvents=tuple(space.solvents.values()),
        salts=tuple(space.salts.values()),
        solvents_per_mixture=space.solvents_per_mixture,
        fraction_step=space.fraction_step,
        molality_mol_kg=space.molality_mol_kg,
        temperature_K=space.temperature_K,
    )


def choose_discharge_model(config: CathodeScreenConfig) -> ChosenModel:
    """Load the model that a screen of cathodes names.

    Raises:
        InputError: If it is none.
    """
    started = perf_counter()
    asked = discharge_model(config.model)
    model = DischargeObjectives(asked, config.asked())
    return ChosenModel(model, discharge_facts(asked), perf_counter() - started, tuple(model.warnings()))


def discharge_facts(model: AnyDischargeModel) -> dict[str, Any]:
    """Return what `run.json` says of a discharge model."""
    card = model.card
    return {"name": card.name, "sha256": model.sha256(), "seed": card.seed, "data": card.data}


def choose_model(model: str) -> ChosenModel:
    """Load a model of mixtures.

    Args:
        model: The name of one that ships, see `SHIPPED`, or a model directory.

    Raises:
        InputError: If the directory does not hold a model.
    """
    started = perf_counter()
    directory = model_directory(model)
    loaded = load_model(directory)
    return ChosenModel(loaded, mixture_facts(directory), perf_counter() - started)


def model_directory(model: str) -> Path:
    """Return the directory of a model of mixtures: of one that ships by its name, else what is named."""
    return Path(str(files("surrogates") / "pretrained" / model)) if model in SHIPPED else Path(model)


def mixture_facts(directory: Path) -> dict[str, Any]:
    """Return what `run.json` says of a model of mixtures.

    Raises:
        InputError: If the directory does not hold one.
    """
    card = load_card(directory)
    trained_on = {key: card.data.get(key) for key in ("source", "sha256", "rows")}
    facts = {"sha256": model_hash(directory), "seed": card.seed, "data": trained_on}
    if card.stands_for is not None:
        facts["stands_for"] = card.stands_for.model_dump(mode="json")
    if card.alignment is not None:
        aligned = card.alignment
        facts["aligned_with"] = {key: getattr(aligned, key) for key in ("source", "sha256", "rows", "family")}
    return facts


def choose_engine(
    name: Literal["ray", "local"], workers: int | None, address: str | None
) -> AbstractContextManager[Engine]:
    """Return the engine, not yet opened.

    Raises:
        InputError: If what only Ray can do is asked of the local engine.
    """
    if name == "ray":
        from activelearn.cluster import ray_engine  # takes a second that the local engine need not wait

        return ray_engine(workers, address)
    if workers is not None or address is not None:
        wrong = "--workers and --ray-address mean nothing without Ray"
        raise InputError(Problem("--engine local", wrong, "Leave them out, or take --engine ray."))
    return nullcontext(in_process)


def screen_to_files(
    config: AnyScreen,
    chosen: ChosenModel,
    out: Path,
    engine: AbstractContextManager[Engine],
    console: Console,
    resume: bool = False,
    keep_shards: bool = True,
) -> ScreenRecord:
    """Screen a space and write `ranked.csv`, `run.json` and, of all candidates, `predictions/*.parquet`.

    A list of mixtures comes with `ranked.png`, one of a whole space with one cathode for each lithium and
    fluorine content with `maps.png`.

    Args:
        config: The screen.
        chosen: The model.
        out: Directory for the files, made if need be.
        engine: Opened when there is something to do.
        console: Where progress is shown.
        resume: Continue the screen that stands in `out`, if one does, and make shards that are gone again.
        keep_shards: Write all scored candidates, not only the best.

    Returns:
        The record of the finished screen.

    Raises:
        InputError: If the model predicts another target or nothing without salt, `out` holds a screen that
            is not to be resumed or is not this one, or no candidate fulfils the constraints.
    """
    started = perf_counter()
    space = config.space.space()
    predictor = chosen.model.bind(space.table)
    if isinstance(config, ScreenConfig):
        check_fits(chosen.model, predictor.target, config)
    constrained = constrained_by(config)
    if constrained is not None:
        chosen = replace(chosen, warnings=(*chosen.warnings, *constrained.warnings()))
    load_s = chosen.load_s + perf_counter() - started
    shards = out.resolve() / "predictions" if keep_shards else None
    objectives = config.asked() if isinstance(config, CathodeScreenConfig) else ()
    names = tuple(asked.name for asked in objectives)
    mask = None if constrained is None else constrained.mask
    screen = Screen(space, predictor, config.score(), config.top_k, shards, names, mask)
    record = ScreenRecord.open(out, _asked(config, chosen, screen), resume)
    if not record.is_finished():
        _work_off(screen, record, engine, console, load_s, objectives, constrained)
    elif lost := screen.lost(screen.chunks()):
        record.begin()
        with engine as score:
            _score_again(screen, score, lost, console)
        _check_shards(screen)
    else:
        console.print("The screen is finished; nothing is left to do.")
    return record


def check_fits(model: Model, target: str, config: ScreenConfig) -> None:
    """Check that a model predicts what a screen asks for, of mixtures as its encoder takes them.

    Raises:
        InputError: If it predicts something else, or takes one salt a mixture where some have none.
    """
    if target != config.target:
        wrong = f"the model predicts {target}, the screen asks for {config.target}"
        raise InputError(Problem("target", wrong, "Give another model or mend the target."))
    if takes_one_salt(model) and 0 in config.space.molality_mol_kg:
        wrong = "0 is a mixture without salt; a model of encoder: molsets takes one salt a mixture"
        mend = "Remove the 0, or give a model trained with encoder: diffmix."
        raise InputError(Problem('key "space.molality_mol_kg"', wrong, mend))


def print_summary(record: ScreenRecord, console: Console) -> None:
    """Print the ten best of a finished screen and where its files are."""
    print_best(pd.read_csv(record.ranked, nrows=10), record.asked["candidates"], console)
    counts = record.counts()
    if "infeasible" in counts:
        missed = ", ".join(f'"{name}" {count:,}' for name, count in counts["infeasible_by"].items() if count)
        told = f"Left out by constraints: {counts['infeasible']:,}"
        console.print(f"{told}; they miss {missed}" if missed else told, soft_wrap=True, markup=False)
    for warning in record.asked["warnings"]:
        console.print(f"Warning: {warning}", soft_wrap=True, highlight=False, markup=False)
    files = {"The list": record.ranked}
    if record.asked["shards"]:
        files["All candidates"] = record.shards / "*.parquet"
    for what, path in (("The list as a figure", record.figure), ("The maps", record.maps)):
        if path.exists():
            files[what] = path
    files["What was run"] = record.summary
    for what, path in files.items():
        console.print(f"{what}: {path}", soft_wrap=True, highlight=False)


def _work_off(
    screen: Screen,
    record: ScreenRecord,
    engine: AbstractContextManager[Engine],
    console: Console,
    load_s: float,
    objectives: tuple[Objective, ...],
    constrained: AnyConstrained | None,
) -> None:
    """Screen what is left, keep the standing after each chunk, and write the results."""
    opening = perf_counter()
    with engine as score:
        opened = perf_counter()
        record.begin()
        before = standing = record.standing()
        lost = screen.lost(chunk for chunk in screen.chunks() if chunk.start in before.finished)
        again = _score_again(screen, score, lost, console)
        first = None
        left = run(screen, score, before)
        with closing(watched(left, before.candidates, len(screen.space), console)) as standings:
            for standing in standings:
                first = first or perf_counter()
                record.save(standing)
        screened = perf_counter()
    closed = perf_counter()
    _check_shards(screen)
    ranked = ranked_table(screen, standing.top)
    if objectives:  # their conditions are the same for all candidates; a row says so all the same
        ranked["warning"] = "; ".join(record.asked["warnings"])
    if constrained is not None:
        ranked = pd.concat([ranked, constrained.columns(ranked)], axis=1)
    record.write_ranked(ranked)
    from campaigns.plots import save_list, save_maps  # Matplotlib takes half a second

    if not objectives:
        save_list(ranked, screen.predictor.target, record.figure)
    elif is_grid(ranked, len(screen.space)):
        save_maps(ranked, objectives, record.maps)
    written = perf_counter()
    results = {
        "counts": {
            "candidates": standing.candidates,
            "in_domain": standing.in_domain,
            "out_of_domain": standing.candidates - standing.in_domain,
            "ranked": len(ranked),
            "of_earlier_runs": before.candidates,
            **_front(screen, standing),
            **left_out(screen.mask, standing),
        },
        "timings_s": {
            "load_model": load_s,
            "start_engine": opened - opening,
            "first_chunk": (first or screened) - opened,
            "all_chunks": screened - opened,
            "stop_engine": closed - screened,
            "write_ranked": written - closed,
            "workers_computing": standing.compute_s,
            "workers_writing": standing.write_s,
        },
        "candidates_per_second": (standing.candidates - before.candidates + again) / (screened - opened),
        "candidates_per_second_computing": standing.candidates / standing.compute_s,
    }
    record.finish(results)


def _score_again(screen: Screen, engine: Engine, lost: Collection[range], console: Console) -> int:
    """Write the shards that somebody removed once more; the standing knows what is in them.

    Returns:
        The number of candidates that were scored.
    """
    done, total = 0, sum(map(len, lost))
    if lost:
        console.print(f"Shards that are gone and are made again: {len(lost)}", soft_wrap=True)
        with progress(console, "candidates of lost shards", total) as told:
            for scored in engine(screen, lost):
                done += len(scored.chunk)
                told(done)
    return done


def _front(screen: Screen, standing: Standing) -> dict[str, int]:
    """Return how many candidates no other dominates, where there are several objectives."""
    return {"pareto_front": int((standing.top["dominators"] == 0).sum())} if screen.is_pareto else {}


def _asked(config: AnyScreen, chosen: ChosenModel, screen: Screen) -> dict[str, Any]:
    """Return all that decides the ranking to the last digit."""
    packages = ("activelearn", "torch", "numpy", "rdkit")
    files_of_constraints = used_files(config.constraints) if config.constraints else {}
    return {
        "config": config.model_dump(mode="json"),
        "candidates": len(screen.space),
        "chunk_size": screen.chunk_size,
        "shards": screen.shards is not None,
        "model": chosen.facts,
        "warnings": list(chosen.warnings),
        **({"constraint_files": files_of_constraints} if files_of_constraints else {}),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _check_shards(screen: Screen) -> None:
    chunks = list(screen.chunks())
    if missing := screen.lost(chunks):
        first = next(iter(missing.values())).name
        wrong = f"{len(missing)} of {len(chunks)} shards are not there, the first of them {first}"
        mend = "Start again with an --out that every machine of the cluster sees, or with --no-shards."
        raise InputError(Problem(str(screen.shards), wrong, mend))
