"""The command line on the fake model: `python -m tests.fake_screen GATE screen ...`.

GATE is a directory that holds a file for each chunk that may be scored, or `open`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from campaigns import cli, screen
from tests.fake_model import FakeModel


def main() -> None:
    gate = sys.argv.pop(1)
    model = FakeModel(gate=None if gate == "open" else Path(gate))
    screen.choose_model = lambda directory: screen.ChosenModel(model, {"sha256": "fake"}, load_s=0.0)
    cli.main()


if __name__ == "__main__":
    main()
