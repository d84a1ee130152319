"""What cannot be converted: one sentence that says what, where and the remedy, and no file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert import networks
from convert.orders import convert
from visiond.errors import DataError, UsageError, VisiondError

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.keras3(tmp_path_factory.mktemp("model"))


def refused(source: Path, folder: Path, *variants: str, **order: object) -> str:
    """The sentence, which names the source; nothing may be left but an empty folder of the conversion's own."""
    with pytest.raises(VisiondError) as caught:
        convert(source, folder, *variants, **order)  # type: ignore[arg-type]
    assert not list(folder.glob("*.tflite*"))
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def keras_network(folder: Path, build: Callable[..., object]) -> Path:
    import keras

    path = folder / "net.keras"
    build(keras).save(path)  # type: ignore[attr-defined]
    return path


def test_a_file_that_is_no_model(tmp_path: Path, pictures: Path) -> None:
    for name in ("net.keras", "net.h5", "net.onnx"):
        (tmp_path / name).write_bytes(b"not a model at all" * 20)
        text = refused(tmp_path / name, tmp_path / f"{name}.out", pictures, "float32")
        assert str(tmp_path / name) in text
        assert "save it again" in text or "export it again" in text


def test_a_truncated_file_of_each_kind(tmp_path: Path, pictures: Path) -> None:
    for build in (networks.keras3, networks.keras3_h5, networks.onnx_file):
        whole = build(tmp_path)
        path = tmp_path / f"cut{whole.suffix}"
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        text = refused(path, tmp_path / f"{build.__name__}.out", pictures, "float32")
        assert str(path) in text
        assert "again" in text
    folder = networks.savedmodel(tmp_path)
    for path in (folder / "variables").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert "damaged SavedModel" in refused(folder, tmp_path / "saved.out", pictures, "float32")


def test_a_keras_file_without_weights(tmp_path: Path, pictures: Path, model: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(model) as whole, zipfile.ZipFile(path, "w") as cut:
        for name in ("metadata.json", "config.json"):
            cut.writestr(name, whole.read(name))
    assert str(path) in refused(path, tmp_path / "out", pictures, "float32")


def test_weights_alone(tmp_path: Path, pictures: Path) -> None:
    import keras

    path = tmp_path / "only.weights.h5"
    networks.layers(keras).save_weights(path)
    assert "holds weights and no model" in refused(path, tmp_path / "out", pictures, "float32")


def test_a_lambda_is_not_run(tmp_path: Path, pictures: Path) -> None:
    path = keras_network(
        tmp_path, lambda keras: keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x * 2)])
    )
    text = refused(path, tmp_path / "out", pictures, "float32")
    assert "Lambda layer" in text
    assert "model.export" in text


def test_a_layer_of_ones_own(tmp_path: Path, pictures: Path) -> None:
    import keras

    class Doubling(keras.layers.Layer):  # type: ignore[misc]
        def call(self, picture: object) -> object:
            return picture * 2  # type: ignore[operator]

    path = keras_network(tmp_path, lambda keras: keras.Sequential([keras.Input((16, 16, 3)), Doubling()]))
    text = refused(path, tmp_path / "out", pictures, "float32")
    assert "Doubling" in text
    assert "model.export" in text


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 16, 16, 4), "pictures of 1 or 3 channels"),
        ((1, 3, 16, 16), "channels come first"),
        ((4, 16, 16, 3), "takes 4 pictures at a time"),
        ((1, None, None, 3), "--size WIDTH HEIGHT"),
        ((1, 16, 3), "a picture is [1, height, width, channels]"),
    ],
)
def test_an_input_that_is_no_picture(tmp_path: Path, pictures: Path, shape: tuple[int, ...], told: str) -> None:
    import tensorflow as tf

    source = networks.function(tmp_path, lambda picture: tf.reduce_mean(picture, -1), shape)
    assert told in refused(source, tmp_path / "out", pictures, "float32")


def test_another_size_than_the_models(tmp_path: Path, pictures: Path, model: Path) -> None:
    assert "has the width 16 and not 20" in refused(model, tmp_path / "out", pictures, "float32", size=(20, 16))


def test_a_recipe_with_another_number_of_channels(tmp_path: Path, pictures: Path, model: Path) -> None:
    gray = {"color": "gray", "mean": (0,), "std": (255,)}
    text = refused(model, tmp_path / "out", pictures, "float32", recipe=gray)
    assert "3 channels, but input.color: gray makes 1" in text


def test_int8_without_pictures(tmp_path: Path, model: Path) -> None:
    """Said before the other variants are made, which takes minutes of a large model."""
    with pytest.raises(UsageError, match="--representative DIR, or leave int8 out: --variants float32,float16,dynamic"):
        convert(model, tmp_path / "out", None, "float32", "int8")
    assert not (tmp_path / "out" / "float32.tflite").exists()


def test_a_folder_without_pictures(tmp_path: Path, model: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no picture" in refused(model, tmp_path / "out", tmp_path / "empty", "int8")


def test_a_picture_that_does_not_open_is_named(tmp_path: Path, model: Path) -> None:
    folder = networks.pictures(tmp_path / "some", 3)
    broken = folder / "blue" / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    text = refused(model, tmp_path / "out", folder, "int8")
    assert str(broken) in text
    assert "copy it again" in text


def test_operators_that_tflite_has_not_are_named(tmp_path: Path, pictures: Path) -> None:
    import tensorflow as tf

    source = networks.function(
        tmp_path, lambda picture: tf.raw_ops.Igamma(a=picture, x=tf.raw_ops.Betainc(a=picture, b=picture, x=picture))
    )
    text = refused(source, tmp_path / "out", pictures, "float32")
    assert "Betainc" in text
    assert "Igamma" in text
    assert "replace them in the model" in text


def onnx_model(folder: Path, nodes: list[tuple[str, str]], **fields: object) -> Path:
    """A chain of operators (domain, name) from `picture` to `out`."""
    import onnx
    from onnx import TensorProto, helper

    names = ["picture", *(f"t{number}" for number in range(len(nodes) - 1)), "out"]
    made = [
        helper.make_node(name, [names[number]], [names[number + 1]], domain=domain, name=f"{name}_{number}")
        for number, (domain, name) in enumerate(nodes)
    ]
    shape = [1, 3, 16, 16]
    graph = helper.make_graph(
        made,
        "net",
        [helper.make_tensor_value_info("picture", fields.get("dtype", TensorProto.FLOAT), shape)],  # type: ignore[arg-type]
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    opset = fields.get("opset", 17)
    opsets = [helper.make_opsetid(domain, opset if not domain else 1) for domain in {"", *(each for each, _ in nodes)}]  # type: ignore[arg-type]
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def test_onnx_custom_operators_are_named_with_their_counts(tmp_path: Path, pictures: Path) -> None:
    path = onnx_model(tmp_path, [("", "Relu"), ("my.ops", "Sharpen"), ("my.ops", "Sharpen"), ("my.ops", "Blur")])
    text = refused(path, tmp_path / "out", pictures, "float32")
    assert "my.ops.Blur (1), my.ops.Sharpen (2)" in text


def test_onnx_operators_that_cannot_be_converted_are_named(tmp_path: Path, pictures: Path) -> None:
    path = onnx_model(tmp_path, [("", "Relu"), ("", "Bernoulli"), ("", "SoftmaxCrossEntropyLoss")])
    text = refused(path, tmp_path / "out", pictures, "float32")
    assert "SoftmaxCrossEntropyLoss" in text
    assert str(path) in text


def test_onnx_of_an_opset_that_is_too_new(tmp_path: Path, pictures: Path) -> None:
    path = onnx_model(tmp_path, [("", "Relu")], opset=99)
    text = refused(path, tmp_path / "out", pictures, "float32")
    assert "has opset 99, and " in text
    assert "opset_version=18" in text


def test_onnx_that_takes_another_type(tmp_path: Path, pictures: Path) -> None:
    from onnx import TensorProto

    path = onnx_model(tmp_path, [("", "Relu")], dtype=TensorProto.FLOAT16)
    assert "takes float16" in refused(path, tmp_path / "out", pictures, "float32")


def test_onnx_that_is_quantized_already(tmp_path: Path, pictures: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.array(0.01, np.float32), "scale"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["picture", "scale", "zero"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "scale", "zero"], ["out"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 16, 16]) for name in ("picture", "out")]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    path = tmp_path / "qdq.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    text = refused(path, tmp_path / "out", pictures, "float32")
    assert "is quantized already" in text
    assert "QuantizeLinear (1)" in text


def test_onnx_whose_weights_are_left_behind(tmp_path: Path, pictures: Path) -> None:
    import onnx

    source = networks.onnx_file(tmp_path)
    onnx.save(onnx.load(source), source, save_as_external_data=True, location="weights.data", size_threshold=0)
    (tmp_path / "weights.data").unlink()
    text = refused(source, tmp_path / "out", pictures, "float32")
    assert "weights are not beside it" in text
    assert "copy the .data file too" in text


def test_a_file_that_computes_something_else_is_not_taken(
    tmp_path: Path, pictures: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a wrong transposition of onnx2tf would: here the file of another network comes out of the converter."""
    import keras

    from visiond.modelkit.convert.child import conversion

    other = networks.layers(keras)
    other.set_weights([3 * weights for weights in other.get_weights()])
    other.save(tmp_path / "other.keras")
    wrong = convert(tmp_path / "other.keras", tmp_path / "other", pictures, "float32").file("float32").read_bytes()
    monkeypatch.setattr(conversion, "converted", lambda *_: wrong)
    with pytest.raises(DataError, match="computes something else"):
        convert(model, tmp_path / "out", pictures, "float32")
