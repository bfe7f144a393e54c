"""A model folder from a stranger cannot make us read outside it, run code, or take memory without bound."""

import json
import os
import random
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model import folder as folder_module
from tawasul_nlp.model import graph as graph_module
from tawasul_nlp.model.folder import CONFIG, ENCODER, NGRAM, TOKENIZER, read_config
from tawasul_nlp.model.graph import checked_graph
from tawasul_nlp.model.onnx_runtime import onnxruntime_without_telemetry
from tests.model.tiny_model import TEXTS, change_config, write_tiny_model
from tests.robustness import model_folder


def open_and_read(folder):
    ComplaintClassifier.from_pretrained(folder, threads=1).predict([*TEXTS, "ا"])


def of_bytes(data, name=ENCODER):
    return lambda folder: (folder / name).write_bytes(data)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, ENCODER])
def test_a_file_that_leaves_the_folder_or_is_beyond_its_size_or_a_pipe_is_refused_unread(tmp_path, name):
    folder = write_tiny_model(tmp_path / "m")
    file = (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(file)
    with pytest.raises(ModelFormatError, match="leads out of the model folder"):
        read_config(folder)
    (folder / name).unlink()
    with file.rename(folder / name).open("ab") as file:
        file.truncate(folder_module.MAX_BYTES[name] + 1)  # sparse: takes no disk
    with pytest.raises(ModelFormatError, match=f"at most {folder_module.MAX_BYTES[name]} expected"):
        read_config(folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelFormatError, match=f"{name} is missing|no {name}"):
        read_config(folder)


def test_what_a_model_tells_about_itself_takes_no_facts_place(tmp_path):
    clf = ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "m"), threads=1)
    facts = clf.info()
    clf.config = replace(clf.config, about={"model_hash": "ffff", "runtime": "أخرى", "by": "org"})
    told = clf.info()
    assert {name: told[name] for name in facts} == facts and told["model_hash"] == clf.config.model_hash
    assert told["by"] == "org"


def test_links_within_the_folder_and_within_a_hub_snapshot_are_followed(tmp_path):
    folder = write_tiny_model(tmp_path / "models--org--name" / "snapshots" / "abc")
    blobs = tmp_path / "models--org--name" / "blobs"
    blobs.mkdir()
    for path in list(folder.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(Path("../../blobs") / path.name)
    open_and_read(folder)
    (folder / ENCODER).rename(folder / "other.bin")
    (folder / ENCODER).symlink_to("other.bin")
    open_and_read(folder)


def test_json_nested_without_end_is_refused(tmp_path):
    folder = write_tiny_model(tmp_path / "m", then=of_bytes(b"[" * 1_000_000, TOKENIZER))
    with pytest.raises(ModelFormatError, match="damaged"):
        open_and_read(folder)
    (folder / CONFIG).write_text('{"a":' * 1_000_000, encoding="utf-8")
    with pytest.raises(ModelFormatError, match="damaged"):
        open_and_read(folder)


@pytest.mark.parametrize("place", model_folder.PLACES)
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "weights.bin"])
def test_a_graph_that_points_at_other_files_is_refused(tmp_path, location, place):
    (tmp_path / "secret.bin").write_bytes(b"\0" * 16)

    def spoil(folder):
        (folder / "weights.bin").write_bytes(b"\0" * 16)
        (folder / ENCODER).write_bytes(model_folder.graph_with_weights(place, location).SerializeToString())

    folder = write_tiny_model(tmp_path / "m", then=spoil)
    with pytest.raises(ModelFormatError, match="tensors in other files"):
        open_and_read(folder)


@pytest.mark.parametrize("place", model_folder.PLACES)
def test_a_graph_with_its_tensors_inside_is_read_where_it_says_so_too(tmp_path, place):
    model = model_folder.graph_with_weights(place, None)
    for tensor in model_folder.tensors(model):
        tensor.data_location = TensorProto.DEFAULT
    path = tmp_path / ENCODER
    path.write_bytes(model.SerializeToString())
    assert checked_graph(path) == path.read_bytes()


def test_no_way_to_write_a_graph_hides_a_tensor_that_lies_in_another_file():
    outcome = model_folder.hidden_weights(600, random.Random(22))
    assert outcome.failures == 0
    assert int(outcome.note.removesuffix(" refused")) > 100  # the attack is one: onnx or ONNX Runtime follows these


def field(number, message):
    """Return a message as a field of another, in the wire format of protocol buffers."""
    return model_folder.varint(number << 3 | 2) + model_folder.varint(len(message)) + message


def nested(depth):
    message = field(1, b"location")
    for _ in range(depth):
        message = field(1, field(5, field(6, message)))  # a node's attribute is a graph with a node ...
    return field(7, message)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        # Some readers cut a key to 32 bits.
        (field(7, field(5, model_folder.varint(13 << 3 | 2 | 1 << 32) + b"\0")), "field number"),
        (field(7, field(5, model_folder.varint(13 << 3 | 2 | 5 << 61) + b"\0")), "field number"),
        (model_folder.varint(2) + b"\0", "not an ONNX graph .*field number 0"),
        (model_folder.varint(7 << 3 | 2, 1) + b"\0", "not an ONNX graph .*overlong number"),
        (model_folder.varint(7 << 3 | 2) + model_folder.varint(0, 1), "not an ONNX graph .*overlong number"),
        (model_folder.varint(1 << 3) + b"\xff" * 9 + b"\x7f", "not an ONNX graph .*overlong number"),
        (model_folder.varint(7 << 3 | 0) + b"\0", "not an ONNX graph .*wire type 0"),
        (model_folder.varint(7 << 3 | 3) + model_folder.varint(7 << 3 | 4), "not an ONNX graph .*unknown wire type 3"),
        (nested(60), "nested more than"),
        (b"", "empty"),
        (b"location", "not an ONNX graph"),
        (b"\xff" * 400 + b"location", "not an ONNX graph"),
        (b"\x0a\xff\xff\xff\x7flocation", "not an ONNX graph"),
    ],
)
def test_what_is_no_graph_or_written_as_no_writer_writes_is_refused(tmp_path, data, said):
    of_bytes(field(7, field(5, field(8, b"w"))))(tmp_path)
    assert checked_graph(tmp_path / ENCODER)
    of_bytes(data)(tmp_path)
    with pytest.raises(ModelFormatError, match=said):
        checked_graph(tmp_path / ENCODER)


def test_wherever_onnx_can_have_a_tensor_there_we_look():
    leading = {"TensorProto": "tensor"}
    while True:  # to the messages that have a field of such a message, until there are no more
        found = {
            name: {
                number: field.message_type.name
                for number, field in message.fields_by_number.items()
                if field.message_type is not None and field.message_type.name in leading
            }
            for name, message in onnx.ModelProto.DESCRIPTOR.file.message_types_by_name.items()
        }
        if {name for name, fields in found.items() if fields} <= leading.keys():
            break
        leading |= {name: name for name, fields in found.items() if fields}
    ours = {"TrainingInfoProto": "training", "SparseTensorProto": "sparse"}
    names = {name: ours.get(name, name.removesuffix("Proto").lower()) for name in leading}
    theirs = {names[name]: {number: names[inner] for number, inner in found[name].items()} for name in leading}
    assert theirs == graph_module._MESSAGES


def in_the_runtimes_own_format(folder):
    runtime = onnxruntime_without_telemetry()
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(folder / "saved.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    runtime.InferenceSession(str(folder / ENCODER), options, providers=["CPUExecutionProvider"])
    (folder / "saved.ort").rename(folder / ENCODER)


def with_another_input(folder):
    model = onnx.load(str(folder / ENCODER))
    model.graph.input.append(helper.make_tensor_value_info("secret", TensorProto.INT64, [1]))
    onnx.save(model, str(folder / ENCODER))


def with_an_output_that_is_no_table(folder):
    number = helper.make_tensor("n", TensorProto.FLOAT, [], [1.0])
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "t"])
    nodes = [helper.make_node("Identity", ["n"], ["embedding"])]
    graph = helper.make_graph(nodes, "g", [ids], [out], [number])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / ENCODER).write_bytes(model.SerializeToString())


def with_nan_in_the_graph(folder):
    model = onnx.load(str(folder / ENCODER))
    for item in model.graph.initializer:
        if item.name.endswith("heads.dept.bias"):
            item.CopyFrom(onnx.numpy_helper.from_array(np.full(3, np.nan, np.float32), item.name))
    onnx.save(model, str(folder / ENCODER))


def with_a_token_that_the_graph_lacks(folder):
    data = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
    data["model"]["vocab"]["ا"] = 10_000_000
    (folder / TOKENIZER).write_text(json.dumps(data), encoding="utf-8")


def with_ngrams(change):
    from safetensors.numpy import load_file, save_file

    return lambda folder: save_file(change(load_file(folder / NGRAM)), folder / NGRAM)


def of_two_labels(stored):
    names = [f"{part}.dept" for part in ("weights", "scales", "biases")]
    return stored | {name: stored[name][..., :2].copy() for name in names}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (in_the_runtimes_own_format, "not an ONNX graph"),
        (with_another_input, "has inputs"),
        (with_an_output_that_is_no_table, "not of shape"),
        # Weights that make no numbers are refused, and not taken for certain answers.
        (with_nan_in_the_graph, "holds NaN"),
        (with_ngrams(lambda t: t | {"biases.dept": t["biases.dept"] * np.nan}), "biases of task 'dept' are not finite"),
        (with_ngrams(of_two_labels), "scores 2 labels"),
        (with_ngrams(lambda t: t | {"weights.dept": t["weights.dept"][:5].copy()}), "not an n-gram scorer"),
        (with_a_token_that_the_graph_lacks, "cannot run"),
        (of_bytes(b"\x80\x04pickle"), "not an ONNX graph"),
        (of_bytes(b"\x08\x08"), "ONNX Runtime cannot load it"),
    ],
)
def test_files_that_do_not_fit_each_other_or_compute_nothing_are_refused(tmp_path, spoil, message):
    folder = write_tiny_model(tmp_path / "m", ngram=True, then=spoil)
    assert read_config(folder)  # whoever makes a bad file also writes its hash; the checks do not rest on it
    with pytest.raises(ModelFormatError, match=message):
        open_and_read(folder)


@pytest.mark.parametrize(
    "settings",
    [{"weights": {"encoder": 1e308, "ngram": 1e308}}, {"temperature": 5e-324}, {"power": 1e308}],
    ids=["weights", "temperature", "power"],
)
def test_finite_numbers_that_overflow_are_refused_and_give_no_probabilities(tmp_path, settings):
    folder = write_tiny_model(tmp_path / "m", ngram=True)
    change_config(folder, lambda config: config["tasks"]["dept"].update(settings))
    with warnings.catch_warnings(), pytest.raises(ModelFormatError, match="of task 'dept' give no probabilities"):
        warnings.simplefilter("error")
        open_and_read(folder)


def test_a_damaged_file_is_refused_and_whatever_finite_numbers_a_model_has_its_answers_are_probabilities(tmp_path):
    folder = write_tiny_model(tmp_path / "m", ngram=True, torch_files=True)
    outcomes = [
        *model_folder.damaged_files(folder, 120, random.Random(4)),
        model_folder.damaged_config(folder, 60, random.Random(5)),
    ]
    assert read_config(folder)  # as it was
    outcomes.append(model_folder.extreme_numbers(folder, 60, random.Random(3)))
    assert [outcome.failures for outcome in outcomes] == [0] * len(outcomes)
