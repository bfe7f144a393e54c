"""The notebooks run, what they show is committed and fit to be read, and plots shape Arabic."""

import platform
import re

import pytest

pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from notebooks.execute import FOLDER, METADATA, ROOT, executed, notebooks

NAMES = [path.name for path in notebooks()]
# Of folders that only exist on one machine; a lone slash in a text or an address is none.
ABSOLUTE_PATH = re.compile(r"(?<![\w./:<])/(?:home|root|tmp|usr|var|opt|mnt|work|builds?|Users)/|[A-Z]:\\\\")
NOISE = re.compile(r"Warning\b|WARNING|it/s\]|\d%\|| at 0x[0-9a-f]{6,}")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts_of(cell):
    """Return everything that a reader can see of a cell's outputs, except pictures."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        yield from (value for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(NAMES[0], marks=pytest.mark.smoke), *NAMES[1:]])
def test_a_notebook_runs_from_top_to_bottom(name):
    notebook = executed(FOLDER / name, FOLDER)
    shown = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in shown)


@pytest.mark.parametrize("name", NAMES)
def test_committed_outputs_are_those_of_one_whole_run_and_clean_and_nothing_else_changes(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    assert notebook.metadata == METADATA
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert [cell.id for cell in notebook.cells] == [f"cell-{at:02d}" for at in range(len(notebook.cells))]
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell.outputs]
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in shown)
    for cell in cells:
        for text in texts_of(cell):
            assert not ABSOLUTE_PATH.search(text), text
            assert not NOISE.search(text), text
            assert str(ROOT) not in text and platform.node() not in text.split()


def test_links_between_notebooks_and_into_the_repository_lead_somewhere():
    for path in (*notebooks(), FOLDER / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+?)\)", path.read_text(encoding="utf-8")):
            assert (FOLDER / target).exists(), f"{path.name} links to {target}"


def drawn(text):
    with plt.style.context(FOLDER / "tawasul.mplstyle"):
        figure = Figure(figsize=(2, 1))
        canvas = FigureCanvasAgg(figure)
        figure.text(0.1, 0.4, text, fontsize=24)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())


def test_plots_join_arabic_letters_and_run_from_right_to_left():
    word = drawn("سلام")
    # The joined forms that Unicode kept for old systems, put from left to right by hand.
    assert np.array_equal(word, drawn("\u202d\ufee1\ufefc\ufeb3\u202c"))
    assert not np.array_equal(word, drawn("\ufeb1\ufedd\ufe8d\ufee1"))  # the same letters, each on its own
