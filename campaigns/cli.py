"""The `activelearn` command. Heavy imports happen inside the command that needs them."""

from __future__ import annotations

import sys

import typer

from campaigns import datasets_cli

app = typer.Typer(
    name="activelearn",
    help="Screen battery electrolytes with honest uncertainties, and choose what to measure next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(datasets_cli.app, name="datasets")


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
