"""Execute the notebooks anew and store what they show: ``python -m notebooks.execute [FILE ...]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
HANG = 3600  # seconds: a busy machine is slow, and only what hangs takes so long
# Fixed, so that a notebook that is executed anew differs only where its outputs do.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebooks() -> list[Path]:
    """Return the notebooks in the order in which they are numbered."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path, folder: Path) -> Any:
    """Run a notebook with ``folder`` as the working directory.

    The kernel imports the packages of this clone, and commands are those of the environment that runs this.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        startup_timeout=HANG,
        timeout=HANG,
        iopub_timeout=HANG,  # for the outputs, once a cell is done: those that came later were left out
        raise_on_iopub_timeout=True,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    return notebook


def main(names: list[str]) -> None:
    """Execute the named notebooks, or all."""
    import nbformat

    for path in map(Path, names) if names else notebooks():
        nbformat.write(executed(path, FOLDER), path)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
