"""How near a student of the shipped ensemble is to it, and how much faster it screens.

    python -m tests.benchmarks.bench_distill

`activelearn distill molsets-conductivity electrolytes`, with its table: the differences are those of the
2,268 candidates that the student was not taught. The rate is that of decoding, predicting and telling the
domain, in turns with the ensemble's, on one thread; the second line is that of a larger space, of whose
candidates the student was taught none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from campaigns.distill import distil_to_directory, print_student, rate_ratio
from campaigns.screen import choose_model, choose_screen

MODEL, JOB = "molsets-conductivity", "electrolytes"


def main() -> None:
    """Print the student's table and the ratio of the rates on a large space."""
    with TemporaryDirectory() as directory:
        out = Path(directory) / "student"
        print_student(distil_to_directory(MODEL, JOB, out, 0, Console(quiet=True)), Console(width=120))
        student, ensemble = (choose_model(str(one)).model for one in (out, MODEL))
    bundled = choose_screen(JOB, top_k=None).space.space()
    large = replace(
        bundled, solvents_per_mixture=(3,), fraction_step=0.2, molality_mol_kg=(0.5, 1.0, 1.5, 2.0, 2.5)
    )
    ratio = rate_ratio(student.bind(large.table), ensemble.bind(large.table), large)
    Console(width=120).print(f"The rate on a space of {len(large):,}, of the ensemble's: {ratio:.2f}")


if __name__ == "__main__":
    main()
