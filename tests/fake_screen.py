"""The command line on the fake model: `python -m tests.fake_screen DELAY_S screen ...`."""

from __future__ import annotations

import sys

from campaigns import cli, screen
from tests.fake_model import FakeModel


def main() -> None:
    model = FakeModel(delay_s=float(sys.argv.pop(1)))
    screen.choose_model = lambda directory: screen.ChosenModel(model, {"sha256": "fake"}, load_s=0.0)
    cli.main()


if __name__ == "__main__":
    main()
