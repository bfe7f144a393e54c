"""The encoder gives the same numbers on every processor, and for a text alone or among others."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from eval.speed.processors.forms import EXACT, make_forms
from eval.speed.processors.golden import CLOSE, GOLDEN, differences, encode
from tawasul_nlp.model import onnx_runtime
from tawasul_nlp.model.folder import BUNDLED, ENCODER
from tawasul_nlp.model.graph import with_portable_softmax
from tawasul_nlp.model.onnx_runtime import onnxruntime_without_telemetry
from tests.waiting import HANG

OLDER = "Haswell"  # AVX2 and FMA, neither AVX-512 nor VNNI


def run(model: bytes, scores: np.ndarray) -> np.ndarray:
    onnxruntime = onnxruntime_without_telemetry()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # or a forked child of another test may wait for its threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"scores": scores})[0]


def softmax_model(opset: int, kind: int = TensorProto.FLOAT, **attributes) -> bytes:
    scores, shares = (helper.make_tensor_value_info(name, kind, ("a", "b", "c")) for name in ("scores", "shares"))
    node = helper.make_node("Softmax", ["scores"], ["shares"], **attributes)
    graph = helper.make_graph([node], "softmax", [scores], [shares])
    opsets = [helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def test_the_stored_model_multiplies_by_the_largest_numbers_and_does_nothing_else():
    graph = onnx.load(Path(onnx_runtime.__file__).with_name("largest_products.onnx")).graph
    (node,), (weights,) = graph.node, graph.initializer
    assert (node.op_type, list(node.input), node.domain) == ("MatMulInteger", ["rows", "weights"], "")
    values = onnx.numpy_helper.to_array(weights)
    assert values.shape == (64, 64) and values.dtype == np.int8 and (values == 127).all()


def test_this_processor_gives_the_golden_numbers_for_texts_alone_and_together():
    assert max(differences().values()) < CLOSE


@pytest.mark.slow
def test_a_processor_without_vnni_gives_the_golden_numbers_as_well():
    emulator = shutil.which("qemu-x86_64")
    if emulator is None and not os.environ.get("TAWASUL_REQUIRE_QEMU"):  # as CI sets it
        pytest.skip("needs Debian's package qemu-user, on an x86 machine")
    check = "from tawasul_nlp.model.onnx_runtime import products_overflow; assert products_overflow()"
    compare = ["-m", "eval.speed.processors.golden", "--texts", "4"]
    for command in (["-c", check], compare):
        command = [emulator, "-cpu", OLDER, sys.executable, *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 0, done.stderr
    assert max(json.loads(done.stdout).values()) < CLOSE


def test_the_golden_numbers_are_those_of_exact_arithmetic(tmp_path):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[:3]
    exact = make_forms(BUNDLED / ENCODER, tmp_path, [EXACT])[EXACT]
    found = encode([text["text"] for text in golden], exact, 1)
    for name, values in found.items():
        np.testing.assert_allclose(values, [text[name] for text in golden], atol=CLOSE)


@pytest.mark.parametrize("opset", [15, 17, 18, 21])
@pytest.mark.parametrize("attributes", [{}, {"axis": 1}, {"axis": -3}])
def test_a_portable_softmax_is_a_softmax(opset, attributes):
    scores = np.random.default_rng(0).normal(0, 5, (3, 4, 7)).astype(np.float32)
    scores[0, 0, 3:] = np.finfo(np.float32).min  # a padded row
    model = softmax_model(opset, **attributes)
    changed = with_portable_softmax(model)
    onnx.checker.check_model(onnx.load_from_string(changed))
    assert [node.op_type for node in onnx.load_from_string(changed).graph.node].count("Softmax") == 0
    np.testing.assert_allclose(run(changed, scores), run(model, scores), rtol=1e-6, atol=1e-12)


def test_padding_does_not_change_a_bit_of_a_portable_softmax():
    model = with_portable_softmax(softmax_model(17))
    scores = np.random.default_rng(1).normal(0, 3, (1, 200, 37)).astype(np.float32)
    alone = run(model, scores)
    for more in range(1, 40):
        padding = np.full((1, 200, more), np.finfo(np.float32).min, np.float32)
        padded = run(model, np.concatenate([scores, padding], axis=2))
        assert (padded[:, :, :37] == alone).all()


def test_everything_but_softmax_and_a_model_of_an_older_operator_set_stay_as_they_are():
    for older in (softmax_model(11), softmax_model(13)):
        assert with_portable_softmax(older) is older
    graph = (BUNDLED / ENCODER).read_bytes()
    before, after = onnx.load_from_string(graph), onnx.load_from_string(with_portable_softmax(graph))
    kept = [node for node in after.graph.node if not any("Softmax" in name for name in node.output)]
    assert kept == [node for node in before.graph.node if node.op_type != "Softmax"]
    assert list(before.graph.initializer) == list(after.graph.initializer)
