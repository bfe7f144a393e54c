"""Running the encoder: a small protocol, and ONNX Runtime behind it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tawasul_nlp.errors import ModelFormatError


class Runtime(Protocol):
    """Whatever turns token ids into an embedding and the logits of each task."""

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Map int64 arrays (texts, tokens) to ``embedding`` (texts, hidden) and each task's logits (texts, labels)."""
        ...


class OnnxRuntime:
    """An ONNX graph on the CPU.

    The session is made on first use, again in a forked child (thread pools do not survive a fork), and again after
    unpickling, so that an instance can be handed to process pools.

    Parameters
    ----------
    path : Path
    threads : int or None
        Threads for one call; None leaves the choice to ONNX Runtime (all physical cores).
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.threads = threads
        self._session: Any = None
        self._pid = 0
        self._lock = threading.Lock()

    def session(self) -> Any:
        """Return this process's session."""
        if self._session is None or self._pid != os.getpid():
            if self._pid != os.getpid():
                self._lock = threading.Lock()  # a lock that was held at the fork would never be released here
                self._pid = os.getpid()
                self._session = None
            with self._lock:
                if self._session is None:
                    self._session = self._open()
        return self._session

    def _open(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own, undocumented classes
            raise ModelFormatError(
                f"{self.path}: ONNX Runtime cannot load it ({str(error).splitlines()[0]}); restore the model folder"
            ) from error

    def size(self, output: str) -> int:
        """Return the number of columns of an output.

        Raises
        ------
        ModelFormatError
            If the graph has no such output.
        """
        for found in self.session().get_outputs():
            if found.name == output:
                return int(found.shape[1])
        raise ModelFormatError(f"{self.path}: has no output {output!r}; use a model of this library's version")

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Run one padded batch; see :class:`Runtime`."""
        session = self.session()
        outputs = session.run(None, {"input_ids": input_ids, "attention_mask": attention_mask})
        return dict(zip([output.name for output in session.get_outputs()], outputs, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
