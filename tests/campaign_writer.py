"""Processes that write to a campaign's file, to be killed: `python -m tests.campaign_writer FILE`.

For each line that it reads, `record` or `give`, the script starts a process that writes and says so on stdout
once it is written, again and again; its number is said first, and `over` when it has ended.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from campaigns.store import Store
from tests.small_campaigns import given, result

ROWS = 3
"""Written together: all or none."""


def record(store: Store) -> None:
    """Record rows of a value of their own for ever, and say which numbers they got."""
    while True:
        value = float(int.from_bytes(os.urandom(4), "big"))
        rows = [result(value=value)] * ROWS
        numbers = store.record(lambda known, rows=rows: rows)
        _say(f"{value} {' '.join(map(str, numbers))}")


def give(store: Store, times: int = 15) -> None:
    """Give out the first few of 1000 mixtures that nobody was given, and say which."""
    while times:
        known = store.history()
        taken = len(known.proposals)
        stored = store.give([given((taken + one + 1) / 1000) for one in range(2)], known)
        if stored is not None:
            times -= 1
            _say(" ".join(f"{one.written['weight_fraction_1']}" for one in stored))


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # a short line is written whole or not at all


def main() -> None:
    """Start a process for each line that is read; end with the last."""
    store = Store(Path(sys.argv[1]))
    work = {"record": record, "give": give}
    several: list[int] = []
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _say(str(os.getpid()))  # before what it writes, which its parent could not be sure of
            work[line.split()[0]](store)
            os._exit(0)
        if "beside" in line:
            several.append(pid)
        else:
            os.waitpid(pid, 0)
            _say("over")
    for pid in several:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
