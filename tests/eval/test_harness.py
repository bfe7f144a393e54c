"""A measurement keeps what it had when it broke off, tells its command, and counts its own process's memory."""

import asyncio
import json
import subprocess
import sys

import pytest

from eval.harness import run_script
from eval.scale import backlog

ROW = {"different_texts": 3, "seconds": 1.0, "rows_per_second": 3.0, "peak_mb": 50, "killed_at": 2, "same_bytes": True}
KILLED = {"killed_peak_mb": 50, "resumed_peak_mb": 49, "seconds_with_kill": 1.2}


def test_a_backlog_that_breaks_off_keeps_the_sizes_that_were_measured_and_other_classifiers(tmp_path, monkeypatch):
    old = {"classifier": "keyword", "model": None, "format": "csv", "rows": 5, **ROW, **KILLED}
    old |= {"date": "2026-11-27", "machine": "two cores", "command": "python -m eval.scale.backlog --sizes 5"}
    (tmp_path / "backlog.json").write_text(json.dumps({"rows": [old]}), encoding="utf-8")

    def measure(folder, size, classifier, ending, kill):
        assert not list(folder.iterdir()), "what a run left that was broken off would be taken up"
        if size == 20:
            raise KeyboardInterrupt
        row = {"classifier": classifier, "model": "abc", "format": "csv", "rows": size}
        return row | ROW | (KILLED if kill else {})

    monkeypatch.setattr(backlog, "measure", measure)
    options = [
        "--classifier",
        "bundled",
        "--sizes",
        "10",
        "20",
        "--work",
        f"{tmp_path}/work",
        "--results",
        str(tmp_path),
    ]
    monkeypatch.setattr("sys.argv", ["backlog", *options])
    with pytest.raises(KeyboardInterrupt):
        run_script(backlog.main, options)
    rows = json.loads((tmp_path / "backlog.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["classifier"], row["rows"]) for row in rows] == [("bundled", 10), ("keyword", 5)]
    page = (tmp_path / "backlog.md").read_text(encoding="utf-8")
    assert f"model `abc`: `python -m eval.scale.backlog {' '.join(options)}`" in page
    assert "- 2026-11-27, two cores: `python -m eval.scale.backlog --sizes 5`" in page


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such count of memory elsewhere")
def test_a_small_process_that_a_large_one_started_has_a_small_peak():
    ballast = bytearray(300 * 2**20)
    command = [sys.executable, "-c", "from eval.processes import peak_kb; print(peak_kb())"]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak < 100 * 1024 < len(ballast) / 1024


TEXTS = ["حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي", "الماي مقطوع عن مجمع 711 من أمس"]


@pytest.mark.slow
def test_every_minute_tells_requests_errors_and_memory(tmp_path):
    pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    from eval.speed import service_soak
    from eval.speed.service import write_index

    write_index(tmp_path / "index", ["انقطع التيار عن مجمع 1203"], 1)
    found = asyncio.run(service_soak.measure(tmp_path, TEXTS, number=2, seconds=0.5))
    assert [row["errors"] for row in found] == [0, 0]
    assert all(row["memory_mb"] > 100 for row in found)
    page = service_soak.markdown({"date": "", "machine": "", "command": "", "open_cases": 1, "minutes": found})
    assert page.count("\n| ") == 3
