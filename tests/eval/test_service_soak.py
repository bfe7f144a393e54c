"""The long measurement of the service, with a real one for a moment."""

import asyncio

import pytest

from eval.speed import service_soak
from eval.speed.service import write_index

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

TEXTS = ["حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي", "الماي مقطوع عن مجمع 711 من أمس"]


@pytest.mark.slow
def test_every_minute_tells_requests_errors_and_memory(tmp_path):
    write_index(tmp_path / "index", ["انقطع التيار عن مجمع 1203"])
    found = asyncio.run(service_soak.measure(tmp_path, TEXTS, number=2, seconds=0.5))
    assert [row["errors"] for row in found] == [0, 0]
    assert all(row["memory_mb"] > 100 for row in found)
    page = service_soak.markdown({"date": "", "machine": "", "command": "", "open_cases": 1, "minutes": found})
    assert page.count("\n| ") == 3
