"""The `activelearn` command. Heavy imports happen inside the command that needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from campaigns import campaign_cli, datasets_cli
from campaigns.file_options import ColumnOption, UnitOption

app = typer.Typer(
    name="activelearn",
    help="Screen battery electrolytes with honest uncertainties, and choose what to measure next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets_cli.app, name="datasets")
app.add_typer(campaign_cli.app, name="campaign")

SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Write bad rows to a file of their own, and go on without them.")
]


@app.command()
def screen(
    config: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a job that ships.")
    ] = "electrolytes",
    model: Annotated[
        str | None,
        typer.Option(help="Model directory; of cathodes also drxnet-published. Replaces the job's."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the results; by default results/screen-JOB.")
    ] = None,
    engine: Annotated[
        Literal["ray", "local"], typer.Option(help="On Ray, or in this process without it.")
    ] = "ray",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes on Ray; by default one a core.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster; by default a local one is started.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted screen.")] = False,
    no_shards: Annotated[bool, typer.Option("--no-shards", help="Write only the ranked list.")] = False,
    top_k: Annotated[int | None, typer.Option(min=1, help="Length of the list; replaces the file's.")] = None,
) -> None:
    """Score every candidate of a space and list the best, with uncertainties."""
    from rich.console import Console

    from campaigns.screen import choose_engine, choose_screen, model_for, print_summary, screen_to_files

    progress = Console(stderr=True, highlight=False)
    out = out or Path("results") / f"screen-{Path(config).stem}"
    job = choose_screen(config, top_k, model)
    scorer = choose_engine(engine, workers, ray_address)
    try:
        record = screen_to_files(job, model_for(job, model), out, scorer, progress, resume, not no_shards)
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. {out} keeps what is done; add --resume to the command to go on.", err=True)
        raise typer.Exit(130) from None
    print_summary(record, Console(width=None if sys.stdout.isatty() else 120))


@app.command()
def profile(
    formula: Annotated[str, typer.Argument(help="The cathode as prepared, such as Li1.2Mn0.4Ti0.4O2.")],
    rate: Annotated[
        list[float],
        typer.Option(help="mA/g; may be given several times.", default_factory=lambda: [20.0]),
    ],
    cycle: Annotated[
        list[int],
        typer.Option(help="1 is the first; may be given several times.", default_factory=lambda: [1]),
    ],
    window: Annotated[tuple[float, float], typer.Option(help="Lower and upper voltage, V.")] = (1.5, 4.8),
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Directory for profile.csv and profile.png; replaces these.")
    ] = Path("results/profile"),
    model: Annotated[
        str, typer.Option(help="drxnet-distilled, which ships, drxnet-published, or a directory as ./DIR.")
    ] = "drxnet-distilled",
) -> None:
    """Show the discharge of one cathode: curves with uncertainty, as a table and a figure."""
    from rich.console import Console

    from campaigns.profile import print_profile, write_profile
    from campaigns.profile import profile as profiles_of
    from surrogates.discharge_models import discharge_ensemble

    found = profiles_of(formula, discharge_ensemble(model), rate, window, cycle)
    files = write_profile(found, formula, out)
    print_profile(found, formula, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    for what, path in zip(("The curves", "The figure"), files, strict=True):
        typer.echo(f"{what}: {path}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="Model directory, or the name of a model that ships.")],
    candidates: Annotated[Path, typer.Argument(help="CSV or Parquet, a row a candidate.")],
    column: ColumnOption,
    unit: UnitOption,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new CSV or Parquet file; by default in results/, as CSV."),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Predict the candidates of a file: its own columns, then those of a screen's list."""
    from rich.console import Console

    from campaigns.predict import pairs, predict_to_file, print_predicted

    out = out or Path("results") / f"{candidates.stem}-predicted.csv"
    columns, units = pairs("--column", column, "temperature_K=T"), pairs("--unit", unit, "temperature_K=degC")
    console = Console(stderr=True, highlight=False)
    done = predict_to_file(model, candidates, out, columns, units, skip_bad, console)
    print_predicted(done, Console(width=None if sys.stdout.isatty() else 120, highlight=False))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Model directory, or the name of a model that ships.")],
    measured: Annotated[Path, typer.Argument(help="CSV or Parquet, a row a measurement.")],
    column: ColumnOption,
    unit: UnitOption,
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for the results, new or empty; by default results/evaluate-FILE."),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Judge a model by measurements: scores in and out of its domain, figures, the worst rows."""
    from rich.console import Console

    from campaigns.evaluate import evaluate_to_directory, print_evaluation
    from campaigns.predict import pairs

    out = out or Path("results") / f"evaluate-{measured.stem}"
    columns, units = pairs("--column", column, "temperature_K=T"), pairs("--unit", unit, "temperature_K=degC")
    console = Console(stderr=True, highlight=False)
    found = evaluate_to_directory(model, measured, out, columns, units, skip_bad, console)
    print_evaluation(found, out, Console(width=None if sys.stdout.isatty() else 120, highlight=False))


@app.command()
def align(
    model: Annotated[
        str, typer.Argument(help="Directory of a model of electrolytes, or the name of one that ships.")
    ],
    measured: Annotated[Path, typer.Argument(help="CSV or Parquet, a row a measurement of your laboratory.")],
    column: ColumnOption,
    unit: UnitOption,
    out: Annotated[
        Path | None,
        typer.Option(help="Directory for the new model, new or empty; by default results/aligned-FILE."),
    ] = None,
) -> None:
    """Correct a model by a few measurements of your own, and write it as a new model."""
    from rich.console import Console

    from campaigns.align import align_to_directory, print_aligned
    from campaigns.predict import pairs

    out = out or Path("results") / f"aligned-{measured.stem}"
    columns, units = pairs("--column", column, "temperature_K=T"), pairs("--unit", unit, "temperature_K=degC")
    found = align_to_directory(model, measured, out, columns, units, Console(stderr=True, highlight=False))
    print_aligned(found, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    typer.echo(f"The aligned model: {out}")


@app.command()
def suggest(
    model: Annotated[
        str, typer.Argument(help="Directory of a model of electrolytes, or the name of one that ships.")
    ],
    candidates: Annotated[Path, typer.Argument(help="CSV or Parquet, a row for what could be measured.")],
    column: ColumnOption,
    unit: UnitOption,
    count: Annotated[int, typer.Option(min=1, help="How many to choose.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new CSV or Parquet file; by default in results/, as CSV."),
    ] = None,
) -> None:
    """Choose what to measure so that `align` learns the most: rows of a file, the most telling first."""
    from rich.console import Console

    from campaigns.predict import pairs
    from campaigns.suggest import suggest_to_file

    out = out or Path("results") / f"{candidates.stem}-suggested.csv"
    columns, units = pairs("--column", column, "temperature_K=T"), pairs("--unit", unit, "temperature_K=degC")
    console = Console(stderr=True, highlight=False)
    chosen, of = suggest_to_file(model, candidates, count, out, columns, units, console)
    typer.echo(f"{chosen:,} of {of:,} candidates chosen, the most telling first: {out}")


@app.command()
def propose(
    config: Annotated[str, typer.Argument(help="A YAML file, or the name of a job that ships.")],
    column: ColumnOption,
    unit: UnitOption,
    data: Annotated[
        Path | None, typer.Option(help="CSV or Parquet, a row a measurement; none before the first.")
    ] = None,
    pending: Annotated[
        Path | None, typer.Option(help="CSV or Parquet, what is being measured and not known yet.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-q", min=1, help="How many to propose.")] = 8,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new CSV or Parquet file; by default in results/, as CSV."),
    ] = None,
    engine: Annotated[
        Literal["ray", "local"], typer.Option(help="Who scores a pool: Ray, or this process alone.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes on Ray; by default one a core.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster; by default a local one is started.")
    ] = None,
) -> None:
    """Propose the experiments to do next, all of which can be made: mixtures or cathodes, what to expect."""
    from rich.console import Console

    from campaigns.predict import pairs
    from campaigns.propose import print_proposed, propose_to_file
    from campaigns.propose_cathodes import print_cathodes, propose_cathodes_to_file
    from campaigns.propose_config import ProposeConfig, choose_proposals
    from campaigns.screen import choose_engine

    out = out or Path("results") / f"{Path(config).stem}-next.csv"
    columns, units = pairs("--column", column, "temperature_K=T"), pairs("--unit", unit, "temperature_K=degC")
    console = Console(stderr=True, highlight=False)
    job, scorer = choose_proposals(config), choose_engine(engine, workers, ray_address)
    shown = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    if isinstance(job, ProposeConfig):
        done = propose_to_file(job, data, pending, count, out, scorer, columns, units, console)
        print_proposed(done, out, shown)
    else:
        made = propose_cathodes_to_file(job, data, pending, count, out, scorer, columns, units, console)
        print_cathodes(made, out, shown)


@app.command()
def compare(
    config: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a job that ships.")
    ] = "compare-carbonates",
    out: Annotated[
        Path | None, typer.Option(help="Directory for the results; by default results/JOB.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes on Ray; by default one a core.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted comparison.")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many; replaces the file's.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets are looked for first.")] = None,
) -> None:
    """Compare strategies on one pool, with many seeds: who finds the better candidates sooner."""
    from rich.console import Console

    from campaigns.cathode_truth import Scoring
    from campaigns.compare import compare_to_directory
    from campaigns.compare_plots import save_trajectories
    from campaigns.compare_report import print_summary, summarise, write_comparison
    from campaigns.contests import choose_comparison, contest, ternary_of
    from campaigns.screen import choose_engine

    out = out or Path("results") / Path(config).stem
    job = choose_comparison(config, seeds)
    console = Console(stderr=True, highlight=False)
    try:
        asked = contest(job, data_dir, Scoring(lambda: choose_engine("ray", workers, None), out, console))
        for note in asked.notes:
            console.print(f"Warning: {note}", soft_wrap=True, markup=False)
        rows = compare_to_directory(asked, out, workers, resume, console)
    except KeyboardInterrupt:
        typer.echo(f"Interrupted. {out} keeps what is done; add --resume to the command to go on.", err=True)
        raise typer.Exit(130) from None
    summary = summarise(rows, job.goal, asked.target)
    files = write_comparison(rows, summary, job.goal, out, asked.target)
    if (ternary := ternary_of(job)) is not None:
        files.append(out / "trajectories.png")
        save_trajectories(rows, ternary, files[-1])
    print_summary(summary, Console(width=None if sys.stdout.isatty() else 180, highlight=False))
    typer.echo("Written: " + ", ".join(map(str, files)))


@app.command()
def landscape(
    config: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a job that ships.")
    ] = "landscape-carbonates",
    model: Annotated[
        str | None,
        typer.Option(help="Model directory, or the name of a model that ships. Replaces the job's."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for the results, new or empty; by default results/JOB.")
    ] = None,
) -> None:
    """Map the conductivity of three solvents over their composition, with its gradient."""
    from rich.console import Console

    from campaigns.landscapes import landscape_to_directory, print_landscapes

    out = out or Path("results") / Path(config).stem
    found = landscape_to_directory(config, model, out, Console(stderr=True, highlight=False))
    print_landscapes(found, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    typer.echo(f"The maps: {out / 'landscape.png'}")
    typer.echo(f"The tables: {out}/*.csv")
    typer.echo(f"What was run: {out / 'run.json'}")


@app.command()
def train(
    config: Annotated[
        str, typer.Argument(help="A YAML file, or the name of a job that ships.")
    ] = "molsets-conductivity",
    out: Annotated[Path, typer.Option(help="Directory for the model.")] = Path("results/model"),
    data_dir: Annotated[Path | None, typer.Option(help="Where data sets are looked for first.")] = None,
) -> None:
    """Train an ensemble, judge it on what it has not seen, and write it with its card."""
    from rich.console import Console

    from campaigns.train_discharge import train_job

    progress = Console(stderr=True, highlight=False)
    report = Console(width=None if sys.stdout.isatty() else 180)
    try:
        train_job(config, out, data_dir, progress, report)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Nothing was written.", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"The model is in {out}.")


@app.command()
def distill(
    model: Annotated[
        str, typer.Argument(help="Model directory of an ensemble, or the name of a model that ships.")
    ],
    space: Annotated[
        str, typer.Argument(help="A YAML file of a screen of mixtures, or the name of a job that ships.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for the student, new or empty.")] = Path(
        "results/student"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
) -> None:
    """Teach one network what an ensemble says of a space, for a faster screen, and judge it."""
    from rich.console import Console

    from campaigns.distill import distil_to_directory, print_student

    try:
        card = distil_to_directory(model, space, out, seed, Console(stderr=True, highlight=False))
    except KeyboardInterrupt:
        typer.echo("Interrupted. Nothing was written.", err=True)
        raise typer.Exit(130) from None
    print_student(card, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    typer.echo(f"The student is in {out}.")


def main() -> None:
    """Run the command line: exit 0 when done, 2 on the user's input, 1 on a fault of ours."""
    from surrogates.errors import InputError

    try:
        app()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
