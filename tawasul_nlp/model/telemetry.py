"""The only import of ONNX Runtime, with its telemetry off, so nothing leaves the machine."""

from __future__ import annotations

import os
from typing import Any

_SWITCH = "ORT_DISABLE_TELEMETRY"


def onnxruntime_without_telemetry() -> Any:
    """Import ONNX Runtime with its telemetry off, and return it.

    From release 1.32 on, its library writes an identifier of the machine and a database of events below the user's home
    folder as soon as it is loaded, and later sends the events to its maker. An existing ``ORT_DISABLE_TELEMETRY`` is
    kept.

    Examples
    --------
    >>> runtime = onnxruntime_without_telemetry()
    >>> "ORT_DISABLE_TELEMETRY" in os.environ
    True
    """
    chosen = _SWITCH in os.environ
    os.environ.setdefault(_SWITCH, "1")
    import onnxruntime  # noqa: TID251

    if not chosen:
        onnxruntime.disable_telemetry_events()  # if the program had already loaded the library
    return onnxruntime
