"""Install the wheel alone in a new virtual environment and use it there: ``python -m tests.wheel``.

It needs a package index, so it is a step of ``make test`` and no test of pytest. It fails if the environment holds
libraries of training, is larger than was promised, answers anything else than this one, or tells a missing extra by
anything but its name.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from openpyxl import Workbook

from eval.speed.install import ROOT, build_wheel, command_of, disk_bytes, install, packages, run, run_demo
from tests.model.tiny_model import write_tiny_model

ABSENT = ("torch", "transformers", "datasets", "camel_tools", "sklearn", "scipy", "pandas")
MOST_MEGABYTES = 700
MOST_PACKAGES = 45

_FOUND = "import sys, importlib.util as u; print(*[name for name in sys.argv[1:] if u.find_spec(name)])"
_TORCH = "from tawasul_nlp import ComplaintClassifier as C; C.from_pretrained({model!r}, runtime='torch')"
_FRAME = "from tawasul_nlp import DuplicateGrouper as G; G.from_pretrained().group(['حفرة']).to_frame()"


def check(holds: bool, problem: str) -> None:
    """End with the problem unless all is well."""
    if not holds:
        raise SystemExit(f"tests.wheel: {problem}")


def check_size(root: Path) -> None:
    """Check what the environment holds."""
    python = root / "bin/python"
    found = run([python, "-I", "-c", _FOUND, *ABSENT], root)
    check(not found.strip(), f"the package alone brings {found.strip()}")
    names, megabytes = packages(root), disk_bytes(root) / 1e6
    check(len(names) <= MOST_PACKAGES, f"{len(names)} packages, expected at most {MOST_PACKAGES}: {' '.join(names)}")
    check(megabytes <= MOST_MEGABYTES, f"{megabytes:.0f} MB, expected at most {MOST_MEGABYTES}")
    print(f"the package alone: {len(names)} packages, {megabytes:.0f} MB")


def check_answers(root: Path, folder: Path) -> None:
    """Check that the environment answers as this one does."""
    script = ROOT / "tests/wheel/answers.py"
    alone = run([root / "bin/python", "-I", script], folder)
    check(alone == run([sys.executable, script], folder), "the answers differ from those of this environment")
    outputs = run_demo(command_of(root), folder / "alone")
    ours = run_demo([sys.executable, "-m", "tawasul_nlp"], folder / "here")
    check(outputs == ours, f"{[name for name in ours if outputs[name] != ours[name]]} differ from this environment's")
    print(f"the same answers, and the same {', '.join(ours)}, to the byte")


def check_missing_extras(root: Path, folder: Path) -> None:
    """Check that one sentence names the extra that is missing."""
    book = Workbook()
    book.active.append(["text"])
    book.active.append(["حفرة في شارع البديع"])
    book.save(folder / "cases.xlsx")
    model = write_tiny_model(folder / "model", onnx=False, torch_files=True)
    command = [*command_of(root), "classify", "--text-column", "text"]
    python = [str(root / "bin/python"), "-I", "-c"]
    for extra, use in {
        "excel": [*command, "cases.xlsx", "-o", "out.csv"],
        "ray": [*python, "import tawasul_nlp.tables.ray"],
        "service": [*command_of(root), "serve"],
        "train": [*command_of(root), "train", "cases.csv", "--label-columns", "dept"],
        "torch": [*python, _TORCH.format(model=str(model))],
        "pandas": [*python, _FRAME],
    }.items():
        done = subprocess.run(use, cwd=folder, capture_output=True, text=True, encoding="utf-8")
        told = done.stderr.strip().rpartition("\n")[2]
        form = rf"(tawasul: error|tawasul_nlp\.errors\.MissingExtraError): .* pip install 'tawasul-nlp\[{extra}\]'"
        check(done.returncode == 1 and re.fullmatch(form, told) is not None, f"without {extra} it says: {told}")
        print(f"without {extra}: {told}")


def main() -> None:
    """Build, install and check."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "environment"
        install(build_wheel(folder), "", root)
        check_size(root)
        check_answers(root, folder)
        check_missing_extras(root, folder)


if __name__ == "__main__":
    main()
