"""A page of results tells the command that made it, and holds what was measured before a measurement broke off."""

import json

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
        return {
            "classifier": classifier,
            "model": "abc",
            "format": "csv",
            "rows": size,
            **ROW,
            **(KILLED if kill else {}),
        }

    monkeypatch.setattr(backlog, "measure", measure)
    options = ["--classifier", "bundled", "--sizes", "10", "20"]
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["backlog", *options, *folders])
    with pytest.raises(KeyboardInterrupt):
        run_script(backlog.main, [*options, *folders])
    rows = json.loads((tmp_path / "backlog.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["classifier"], row["rows"]) for row in rows] == [("bundled", 10), ("keyword", 5)]
    page = (tmp_path / "backlog.md").read_text(encoding="utf-8")
    assert f"model `abc`: `python -m eval.scale.backlog {' '.join([*options, *folders])}`" in page
    assert "- 2026-11-27, two cores: `python -m eval.scale.backlog --sizes 5`" in page
