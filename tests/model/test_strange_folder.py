"""A model folder from a stranger cannot make us read outside it, run code, or take memory without bound."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model import folder as folder_module
from tawasul_nlp.model.folder import CONFIG, ENCODER, NGRAM, TOKENIZER, file_hash, read_config
from tawasul_nlp.model.graph import refuse_external_data
from tests.model.tiny_model import TEXTS, write_tiny_model


def open_and_read(folder: Path) -> None:
    ComplaintClassifier.from_pretrained(folder, threads=1).predict(TEXTS)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, ENCODER])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_tiny_model(tmp_path / "m")
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(ModelFormatError, match="leads out of the model folder"):
        read_config(folder)


@pytest.mark.parametrize("about", [{"model_hash": "ffff", "runtime": "أخرى", "by": "org"}, ["by org"], None])
def test_what_a_model_tells_about_itself_takes_no_facts_place(tmp_path: Path, about: object) -> None:
    clf = ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "m"), threads=1)
    facts = clf.info()
    clf.config = replace(clf.config, about=about)  # type: ignore[arg-type]
    told = clf.info()
    assert {name: told[name] for name in facts} == facts and told["model_hash"] == clf.config.model_hash
    assert told["by"] == "org" if isinstance(about, dict) else told["about"] == about


def test_links_within_the_folder_and_within_a_hub_snapshot_are_followed(tmp_path: Path) -> None:
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


def test_a_file_that_is_a_folder_or_a_pipe_is_refused(tmp_path: Path) -> None:
    import os

    folder = write_tiny_model(tmp_path / "m")
    (folder / ENCODER).unlink()
    os.mkfifo(folder / ENCODER)
    with pytest.raises(ModelFormatError, match="model.onnx is missing"):
        read_config(folder)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, ENCODER])
def test_a_file_beyond_its_size_is_refused_unread(tmp_path: Path, name: str) -> None:
    folder = write_tiny_model(tmp_path / "m")
    with (folder / name).open("ab") as file:
        file.truncate(folder_module.MAX_BYTES[name] + 1)  # sparse: takes no disk
    with pytest.raises(ModelFormatError, match=f"at most {folder_module.MAX_BYTES[name]} expected"):
        read_config(folder)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER])
def test_json_nested_without_end_is_refused(tmp_path: Path, name: str) -> None:
    def nest(folder: Path) -> None:
        if name == TOKENIZER:
            (folder / name).write_text("[" * 1_000_000, encoding="utf-8")

    folder = write_tiny_model(tmp_path / "m", then=nest)
    if name == CONFIG:
        (folder / name).write_text('{"a":' * 1_000_000, encoding="utf-8")
    with pytest.raises(ModelFormatError, match="damaged"):
        open_and_read(folder)


def graph_with_external_weights(path: Path, location: str, inside: str) -> None:
    """Write a graph whose one tensor lies in the file ``location``, as an initializer, a constant or in a branch."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [4])
    constant = helper.make_node("Constant", [], ["embedding"], value=tensor)
    if inside == "initializer":
        graph = helper.make_graph([helper.make_node("Identity", ["w"], ["embedding"])], "g", [], [out], [tensor])
    elif inside == "constant":
        graph = helper.make_graph([constant], "g", [], [out])
    else:
        branch = helper.make_graph([constant], "b", [], [out])
        true = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
        node = helper.make_node("If", ["yes"], ["embedding"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph([node], "g", [], [out], [true])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


@pytest.mark.parametrize("inside", ["initializer", "constant", "branch"])
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "weights.bin"])
def test_a_graph_that_points_at_other_files_is_refused(tmp_path: Path, location: str, inside: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\0" * 16)

    def spoil(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(b"\0" * 16)
        graph_with_external_weights(folder / ENCODER, location, inside)

    folder = write_tiny_model(tmp_path / "m", then=spoil)
    with pytest.raises(ModelFormatError, match="tensors in other files"):
        open_and_read(folder)


def test_a_name_that_only_sounds_like_a_pointer_is_read(tmp_path: Path) -> None:
    open_and_read(write_tiny_model(tmp_path / "m", tasks={"location": ("هنا", "هناك")}))


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    for index, data in enumerate((b"", b"\xff" * 400 + b"location", b"location", b"\x0a\xff\xff\xff\x7flocation")):
        path = tmp_path / f"{index}.onnx"
        path.write_bytes(data)
        with pytest.raises(ModelFormatError, match=r"empty|no ONNX graph"):
            refuse_external_data(path)


def field(number: int, message: bytes) -> bytes:
    """Return a message as a field of another, in the wire format of protocol buffers."""
    size, length = len(message), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + message


def test_a_graph_nested_without_end_is_refused(tmp_path: Path) -> None:
    message = field(1, b"location")
    for _ in range(60):
        message = field(1, field(5, field(6, message)))  # a node's attribute is a graph with a node ...
    path = tmp_path / "deep.onnx"
    path.write_bytes(field(7, message))
    with pytest.raises(ModelFormatError, match="nested more than"):
        refuse_external_data(path)


def test_a_graph_that_asks_for_something_else_is_refused(tmp_path: Path) -> None:
    def spoil(folder: Path) -> None:
        path = folder / ENCODER
        model = onnx.load(str(path))
        model.graph.input.append(helper.make_tensor_value_info("secret", TensorProto.INT64, [1]))
        onnx.save(model, str(path))

    with pytest.raises(ModelFormatError, match="asks for"):
        open_and_read(write_tiny_model(tmp_path / "m", then=spoil))


def test_a_graph_with_an_output_that_is_no_table_is_refused(tmp_path: Path) -> None:
    def spoil(folder: Path) -> None:
        number = helper.make_tensor("n", TensorProto.FLOAT, [], [1.0])
        out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [])
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "t"])
        nodes = [helper.make_node("Identity", ["n"], ["embedding"])]
        graph = helper.make_graph(nodes, "g", [ids], [out], [number])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        (folder / ENCODER).write_bytes(model.SerializeToString())

    with pytest.raises(ModelFormatError, match="no tables"):
        open_and_read(write_tiny_model(tmp_path / "m", then=spoil))


def test_an_ngram_reader_of_other_labels_or_shapes_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    def fewer(folder: Path) -> None:
        tensors = load_file(folder / NGRAM)
        for part in ("weights", "scales", "biases"):
            tensors[f"{part}.dept"] = tensors[f"{part}.dept"][..., :2].copy()
        save_file(tensors, folder / NGRAM)

    def shorter(folder: Path) -> None:
        tensors = load_file(folder / NGRAM)
        save_file(tensors | {"weights.dept": tensors["weights.dept"][:5].copy()}, folder / NGRAM)

    for name, spoil, said in (("a", fewer, "reads 2 labels"), ("b", shorter, "not an n-gram reader")):
        with pytest.raises(ModelFormatError, match=said):
            open_and_read(write_tiny_model(tmp_path / name, ngram=True, then=spoil))


def test_weights_that_make_no_numbers_are_refused_and_not_taken_for_certain_answers(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    def ngram(folder: Path) -> None:
        tensors = load_file(folder / NGRAM)
        tensors["biases.dept"][:] = np.nan
        save_file(tensors, folder / NGRAM)

    def encoder(folder: Path) -> None:
        model = onnx.load(str(folder / ENCODER))
        for item in model.graph.initializer:
            if item.name.endswith("heads.dept.bias"):
                item.CopyFrom(onnx.numpy_helper.from_array(np.full(3, np.nan, np.float32), item.name))
        onnx.save(model, str(folder / ENCODER))

    for name, spoil, said in (("a", ngram, "biases of task 'dept' are not finite"), ("b", encoder, "holds NaN")):
        with pytest.raises(ModelFormatError, match=said):
            open_and_read(write_tiny_model(tmp_path / name, ngram=True, then=spoil))


def test_a_tokenizer_that_knows_more_than_the_graph_is_refused(tmp_path: Path) -> None:
    def spoil(folder: Path) -> None:
        path = folder / TOKENIZER
        data = json.loads(path.read_text(encoding="utf-8"))
        data["model"]["vocab"]["ا"] = 10_000_000
        path.write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(ModelFormatError, match="cannot read"):
        folder = write_tiny_model(tmp_path / "m", then=spoil)
        ComplaintClassifier.from_pretrained(folder, threads=1).predict("ا")


def test_a_hash_that_matches_is_not_enough(tmp_path: Path) -> None:
    """Whoever makes a bad file also writes its hash; the checks do not rest on it."""

    def spoil(folder: Path) -> None:
        (folder / ENCODER).write_bytes(b"\x80\x04pickle")

    folder = write_tiny_model(tmp_path / "m", then=spoil)
    assert read_config(folder).files[ENCODER] == file_hash(folder / ENCODER)
    with pytest.raises(ModelFormatError, match="ONNX Runtime cannot load it"):
        open_and_read(folder)
