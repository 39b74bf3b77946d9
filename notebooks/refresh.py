"""Run the notebooks and keep what they show, after a change of what they call."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent

for path in sorted(HERE.glob("*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    # Times of cells would differ with each run.
    NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": str(HERE)}}).execute()
    nbformat.write(notebook, path)
    print(path.name)
