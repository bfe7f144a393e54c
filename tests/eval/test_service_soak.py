"""The long measurement of the service, with a real one for a moment."""

import asyncio
from itertools import count, islice

import pytest

from eval.speed import service_soak
from eval.speed.service import write_index

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

TEXTS = ["حفرة كبيرة في شارع المعارض بالحورة كسرت تاير سيارتي", "الماي مقطوع عن مجمع 711 من أمس"]


def test_a_case_is_predicted_looked_for_added_and_removed_again():
    asked = list(islice(service_soak.asked(iter(TEXTS), count(7)), 5))
    assert [path for path, _ in asked[:4]] == ["/predict", "/incidents/query", "/incidents/add", "/incidents/remove"]
    assert asked[2][1]["cases"][0]["id"] == asked[3][1]["case_id"] == "soak-7"
    assert asked[4] == ("/predict", {"texts": [TEXTS[1]]})


@pytest.mark.slow
def test_every_minute_tells_requests_errors_and_memory(tmp_path):
    write_index(tmp_path / "index", ["انقطع التيار عن مجمع 1203"])
    found = asyncio.run(service_soak.measure(tmp_path, TEXTS, number=2, seconds=0.5))
    assert [row["errors"] for row in found] == [0, 0]
    assert all(row["memory_mb"] > 100 for row in found)
    page = service_soak.markdown({"date": "", "machine": "", "command": "", "open_cases": 1, "minutes": found})
    assert page.count("\n| ") == 3
