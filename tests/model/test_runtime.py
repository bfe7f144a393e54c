"""Batches are read by several threads at once, and each process makes its own sessions, whatever its parent was doing."""

import gc
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tawasul_nlp import classifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, ENCODER
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.runtime import PerProcess
from tests.model.tiny_model import TEXTS, write_tiny_model
from tests.waiting import HANG


def batches(count):
    drawn = np.random.default_rng(0)
    made = []
    for number in range(count):
        ids = drawn.integers(5, 2_000, (1 + number % 3, 4 + number), dtype=np.int64)
        made.append((ids, np.ones_like(ids)))
    return made


class Counted(OnnxRuntime):
    """The bundled encoder; it remembers with how many threads it opened each session."""

    def __init__(self):
        super().__init__(BUNDLED / ENCODER, threads=3)
        self.opened: list[int] = []

    def _open(self, threads):
        self.opened.append(threads)
        return super()._open(threads)


@pytest.fixture
def runtime():
    return Counted()


def test_batches_at_once_give_what_they_give_alone_and_in_their_order(runtime):
    given = batches(12)
    together = list(runtime.run_all(given))
    for batch, found in zip(given, together, strict=True):
        for name, values in runtime.run(*batch).items():
            np.testing.assert_allclose(found[name], values, atol=1e-4)


def test_no_more_sessions_are_opened_than_threads_whoever_asks_and_one_batch_gets_all_threads(runtime):
    askers = [threading.Thread(target=lambda: list(runtime.run_all(batches(6)))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert runtime.opened in ([1], [1, 1], [1, 1, 1])
    alone = Counted()
    assert len(list(alone.run_all(batches(1)))) == 1 and alone.opened == [3]


def test_a_batch_that_fails_leaves_every_session_for_the_next_call(runtime):
    strange = (np.full((1, 4), 10**6), np.ones((1, 4), np.int64))  # no such token
    for _ in range(3):
        with pytest.raises(ModelFormatError, match="cannot run 1 texts"):
            list(runtime.run_all([strange] * 6))
    assert len(list(runtime.run_all(batches(6)))) == 6


def test_a_file_that_is_no_model_is_refused_every_time(tmp_path):
    (tmp_path / ENCODER).write_bytes(b"no graph")
    runtime = OnnxRuntime(tmp_path / ENCODER, threads=2)
    for _ in range(3):
        with pytest.raises(ModelFormatError):
            list(runtime.run_all(batches(4)))


def test_threads_do_not_wait_for_each_other_awake():
    options = OnnxRuntime(BUNDLED / ENCODER, threads=2).session().get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_a_child(ask):
    """Return what ``ask`` returns in a forked child; nothing if the child hangs."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(int(HANG))
        os.write(writer, ask().encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return answer.read()


def test_threads_that_ask_at_once_get_one_value():
    made: list[int] = []

    def slowly():
        made.append(1)
        time.sleep(0.05)
        return object()

    value = PerProcess(slowly)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: id(value.get()), range(8)))
    assert len(found) == len(made) == 1


@forks
def test_a_forked_child_makes_its_own(tmp_path):
    value = PerProcess(lambda: str(os.getpid()))
    assert value.get() == str(os.getpid())
    assert in_a_child(lambda: f"{value.get() == str(os.getpid())}") == "True"
    folder = write_tiny_model(tmp_path, onnx=False, torch_files=True)
    clf = classifier.ComplaintClassifier.from_pretrained(folder, runtime="torch", threads=1)
    expected = clf.predict(TEXTS[0])
    assert in_a_child(lambda: f"{clf.predict(TEXTS[0]) == expected}") == "True"


@forks
def test_a_fork_while_another_thread_loads_the_bundled_model_leaves_the_child_able_to_read(monkeypatch):
    load, begun = classifier.ComplaintClassifier.from_pretrained, threading.Event()

    def slowly(*given, **named):
        begun.set()
        time.sleep(0.5)
        return load(*given, **named)

    monkeypatch.setattr(classifier.ComplaintClassifier, "from_pretrained", slowly)
    classifier._load_bundled.cache_clear()
    thread = threading.Thread(target=classifier.predict, args=("الماي مقطوع عن مجمع 714",))
    thread.start()
    begun.wait()
    assert in_a_child(lambda: classifier.predict("المجاري طافحة عندنا").topic.id) == "sewage_overflow"
    thread.join()


@forks
def test_a_child_neither_closes_the_sessions_of_its_parent_nor_waits_for_their_threads():
    model = classifier.ComplaintClassifier.from_pretrained(threads=2)
    model.predict("المجاري طافحة عندنا")
    dropped = classifier.ComplaintClassifier.from_pretrained(threads=2)
    dropped.predict("المجاري طافحة عندنا")
    dropped.itself = dropped  # nothing but the garbage collector frees it
    time.sleep(1)  # the sessions' threads sleep by now
    del dropped

    def drop_all():
        nonlocal model
        del model
        gc.collect()
        return "freed"

    assert in_a_child(drop_all) == "freed"


@forks
def test_a_child_does_not_wait_for_the_threads_of_a_model_that_was_refused():
    refused = OnnxRuntime(BUNDLED / ENCODER, 2, {"topic": 3})
    with pytest.raises(ModelFormatError) as kept:  # and with it, in its traceback, the open session
        refused.session()

    def drop():
        nonlocal kept
        del kept
        gc.collect()
        return "freed"

    time.sleep(1)  # the session's threads sleep by now
    assert in_a_child(drop) == "freed"
