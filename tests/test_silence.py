"""Nothing leaves the machine, and nothing is written where nobody asked for it: watched from outside the process."""

import os
import subprocess
import sys

import pytest

from tests.model.tiny_model import write_tiny_model
from tests.robustness.silence import ROOT, STRACE, USES, trace, watch


@pytest.fixture
def strace():
    """Skip without strace, unless the environment says that it must be there, as CI does."""
    if STRACE is None:
        message = "needs Debian's package strace"
        if os.environ.get("TAWASUL_REQUIRE_STRACE"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("use", USES)
def test_a_use_reaches_nothing_beyond_the_machine_and_writes_only_where_it_was_told(tmp_path, use):
    if "service" in use:
        pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    assert watch(USES[use], tmp_path) == ([], [])


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_the_torch_runtime_is_as_silent(tmp_path):
    model = write_tiny_model(tmp_path / "m", torch_files=True, incident=True)
    code = f"from tawasul_nlp import ComplaintClassifier as C; C.from_pretrained({str(model)!r}, runtime='torch').predict('ا')"
    assert trace([sys.executable, "-c", code], tmp_path) == ([], []) and not any((tmp_path / "work").iterdir())


@pytest.mark.usefixtures("strace")
def test_the_watch_sees_what_is_sent_and_written(tmp_path):
    code = """
import os, pathlib, socket, subprocess, sys

home = pathlib.Path.home()
(home / "made").mkdir()
(home / "written").write_text("x")
os.rename(home / "written", "here")
os.chmod("../home/made", 0o700)
subprocess.run([sys.executable, "-c", "open('../child', 'w')"], check=True)
for address in ("192.0.2.1", "127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((address, 9))  # sends nothing yet
"""
    outside, reached = watch([("-c", code)], tmp_path)
    assert set(outside) == {str(tmp_path / name) for name in ("home/made", "home/written", "child")}
    assert reached == ["connect 192.0.2.1:9"]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [pytest.param(None, marks=pytest.mark.smoke), "0", "", "true"])
def test_the_first_answer_leaves_the_home_folder_empty_and_telemetry_off_or_as_the_user_chose(tmp_path, chosen):
    settings = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    if chosen is not None:
        settings["ORT_DISABLE_TELEMETRY"] = chosen
    predict = "import tawasul_nlp; tawasul_nlp.predict('المجاري طافحة في مجمع 714')"
    command = [sys.executable, "-c", f"{predict}; import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
    assert done.stdout.strip() == ("1" if chosen is None else chosen)
    assert chosen is not None or sorted(tmp_path.rglob("*")) == []
