"""Store an encoder's weight matrices as int8 and quantise its activations row by row while it runs.

A row of activations is divided by its largest magnitude, so one fixed scale quantises it, and the product of integers
is multiplied by that magnitude again. As with 8-bit blocks, nothing is calibrated and an answer does not depend on the
texts of its batch; but the product runs on ONNX Runtime's integer kernels, which take less than half the time of those
for blocks (``eval/results/quantisation.md``).

Run ``python -m training.rowwise --model FOLDER --out FOLDER`` to write a model folder anew in this form, with weights,
temperatures and thresholds fitted again on validation data; ``--install`` puts it into the package.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import BUNDLED, ENCODER, NGRAM, ModelConfig, file_hash, read_config
from tawasul_nlp.model.ngram import NgramReader
from training.corpus import LabelSpace, load_examples

_STEPS = 127  # a row's values become -127 to 127, stored as uint8 around 128: what the kernels for x86 want
_SCALE, _ZERO, _LEAST = "row_scale", "row_zero", "row_least"


def quantize_rows(source: Path, target: Path) -> None:
    """Replace every product with a constant weight matrix of the graph ``source`` and write ``target``."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    matrices = {item.name: numpy_helper.to_array(item) for item in graph.initializer if len(item.dims) == 2}
    nodes, constants = (
        [],
        [
            numpy_helper.from_array(np.array(1 / _STEPS, np.float32), _SCALE),
            numpy_helper.from_array(np.array(128, np.uint8), _ZERO),
            numpy_helper.from_array(np.array(1e-12, np.float32), _LEAST),
        ],
    )
    replaced: set[str] = set()
    quantised: dict[str, str] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in matrices:
            nodes.append(node)
            continue
        rows, matrix = node.input
        if rows not in quantised:  # query, key and value read the same rows
            name = quantised[rows] = f"rows{len(quantised)}"
            nodes += [
                helper.make_node("Abs", [rows], [f"{name}_abs"]),
                helper.make_node("ReduceMax", [f"{name}_abs"], [f"{name}_max"], axes=[-1], keepdims=1),
                helper.make_node("Max", [f"{name}_max", _LEAST], [f"{name}_size"]),
                helper.make_node("Div", [rows, f"{name}_size"], [f"{name}_unit"]),
                helper.make_node("QuantizeLinear", [f"{name}_unit", _SCALE, _ZERO], [f"{name}_int"]),
            ]
        name = quantised[rows]
        scale = np.maximum(np.abs(matrices[matrix]).max(0) / _STEPS, 1e-12).astype(np.float32)
        weights = np.round(matrices[matrix] / scale).astype(np.int8)
        constants += [
            numpy_helper.from_array(weights, f"{node.name}_int8"),
            numpy_helper.from_array(scale, f"{node.name}_scale"),
        ]
        replaced.add(matrix)
        nodes += [
            helper.make_node(
                "MatMulIntegerToFloat",
                [f"{name}_int", f"{node.name}_int8", _SCALE, f"{node.name}_scale", _ZERO],
                [f"{node.name}_unit"],
                name=f"{node.name}_rows",
                domain="com.microsoft",
            ),
            helper.make_node("Mul", [f"{node.name}_unit", f"{name}_size"], list(node.output)),
        ]
    constants += [item for item in graph.initializer if item.name not in replaced]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend(nodes)
    if all(known.domain != "com.microsoft" for known in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(target))


def convert(source: Path, out: Path) -> ModelConfig:
    """Write the model folder ``source`` to ``out`` with a row-wise encoder, calibrated anew; return its configuration.

    Raises
    ------
    ValueError
        If its tasks are not those of the corpus, on which it is calibrated.
    """
    from training.bundle import read_with_encoder, truth_of
    from training.calibrate import fit_task, with_thresholds
    from training.export import export_float
    from training.restore import restore_network

    config = read_config(source)
    if set(config.tasks) != {"topic", "agency", "kind"}:
        raise ValueError(f"{source} has the tasks {', '.join(config.tasks)}; only the corpus's can be calibrated here")
    network = restore_network(source)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in config.files:
        shutil.copy(source / name, out / name)
    with tempfile.TemporaryDirectory() as work:
        export_float(network, Path(work) / "float32.onnx")
        quantize_rows(Path(work) / "float32.onnx", out / ENCODER)
    labels = LabelSpace.load()
    validation = load_examples("validation", labels)
    texts = [example.text for example in validation]
    ngram = NgramReader.load(out / NGRAM).scores(texts)
    before, after = ({"encoder": read_with_encoder(folder, texts), "ngram": ngram} for folder in (source, out))
    tasks = dict(config.tasks)
    for name in tasks:
        truth = truth_of(validation, labels, name)
        known = truth >= 0
        tasks[name] = fit_task(name, tasks, after, truth)
        tasks[name] = with_thresholds(tasks[name], combine(tasks, after)[name], truth)
        old, new = (
            float((combine(fitted, readers)[name].argmax(1) == truth)[known].mean())
            for fitted, readers in ((config.tasks, before), (tasks, after))
        )
        print(f"{name}: accuracy on validation {old:.4f} before, {new:.4f} after", flush=True)
    cosine = (before["encoder"]["embedding"] * after["encoder"]["embedding"]).sum(1)
    print(f"embeddings before and after: cosine {cosine.mean():.4f} on average, {cosine.min():.4f} at least")
    config = replace(config, tasks=tasks, files={name: file_hash(out / name) for name in config.files})
    config.save(out)
    return config


def main() -> None:
    """Convert a model folder from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="the model folder to convert (default: bundled)")
    parser.add_argument("--out", type=Path, default=Path("build/rowwise"), help="the folder to write")
    parser.add_argument("--install", action="store_true", help="put the converted model into the package")
    arguments = parser.parse_args()
    convert(arguments.model, arguments.out)
    if arguments.install:
        for path in arguments.out.iterdir():
            shutil.copy(path, BUNDLED / path.name)
        print(f"installed into {BUNDLED}; now run python -m training.pairs --install and python -m eval")


if __name__ == "__main__":
    main()
