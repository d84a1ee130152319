"""From each kind of source to each variant, by the same code as the child's, with models made here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from convert import networks
from convert.orders import convert
from visiond.errors import DataError
from visiond.modelkit.convert.child import conversion
from visiond.modelkit.convert.measurement import measured

pytestmark = pytest.mark.filterwarnings("default")  # those of TensorFlow and PyTorch are not ours

ALL = ("float32", "float16", "dynamic", "int8")
SOURCES = (networks.keras3, networks.keras3_h5, networks.legacy_h5, networks.savedmodel, networks.torch_export)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.keras3(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("build", SOURCES, ids=lambda build: build.__name__)
def test_each_source_becomes_each_variant(build: networks.Build, pictures: Path, tmp_path: Path) -> None:
    done = convert(build(tmp_path), tmp_path / "out", pictures, *ALL)
    assert tuple(done.variants) == ALL
    assert done.facts["shape"] == (1, 16, 16, 3)
    assert done.calibrated == done.facts["pictures"] == 12
    assert done.variants["float32"]["source_difference"] < 1e-5
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    (exact,) = networks.run(done.file("float32"), picture)
    assert exact.shape == (1, 4)
    assert exact.sum() == pytest.approx(1, abs=1e-5)
    for variant, within in (("float16", 2e-3), ("dynamic", 0.02), ("int8", 0.03)):
        (answer,) = networks.run(done.file(variant), picture)
        assert np.abs(answer - exact).max() < within, variant


def test_sources_of_one_network_compute_the_same(model: Path, pictures: Path, tmp_path: Path) -> None:
    """Keras 3's two formats and the SavedModel hold one network: the same seed."""
    picture = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    answers = []
    for build in (networks.keras3, networks.keras3_h5, networks.savedmodel):
        done = convert(build(tmp_path), tmp_path / build.__name__, pictures, "float32")
        answers.append(networks.run(done.file("float32"), picture)[0])
    import keras

    expected = np.asarray(keras.models.load_model(model)(picture))
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_without_float32_the_graph_is_compared_all_the_same(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = convert(model, tmp_path / "out", pictures, "int8")
    assert done.proved is not None
    assert done.proved < 1e-5
    assert not done.file("float32").exists()
    monkeypatch.setattr(conversion, "difference", lambda *_: 0.5)
    with pytest.raises(DataError, match="computes something else"):
        convert(model, tmp_path / "other", pictures, "int8")
    assert not (tmp_path / "other" / "int8.tflite").exists()


@pytest.mark.parametrize("io_type", ["int8", "uint8"])
def test_int8_is_integer_from_end_to_end(model: Path, pictures: Path, tmp_path: Path, io_type: str) -> None:
    done = convert(model, tmp_path / "out", pictures, "int8", io_type=io_type)
    row = measured("int8", done.file("int8"))
    assert (row.input, row.output, row.float_operators) == (io_type, io_type, 0)


@pytest.mark.parametrize(
    ("mean", "std", "scale", "zero_point"),
    [(0, 255, 1 / 255, -128), (127.5, 127.5, 2 / 255, 0), (0, 1, 1, -128), (127.5, 255, 1 / 255, 0)],
)
def test_the_inputs_range_is_the_recipes(
    model: Path, pictures: Path, tmp_path: Path, mean: float, std: float, scale: float, zero_point: int
) -> None:
    """Black and white are among the pixels, so the range is what the recipe makes of 0 and 255."""
    recipe = {"mean": (mean,) * 3, "std": (std,) * 3}
    found = convert(model, tmp_path / "out", pictures, "int8", recipe=recipe).input()["quantization"]
    assert found[0] == pytest.approx(scale, rel=1e-5)
    assert abs(found[1] - zero_point) <= 1


@pytest.mark.parametrize(
    ("recipe", "brightest"),
    [
        ({"resize": "stretch", "interpolation": "nearest"}, 255),
        ({"resize": "center_crop", "interpolation": "nearest"}, 100),
        ({"resize": "letterbox", "interpolation": "nearest"}, 255),
        ({"resize": "letterbox", "interpolation": "nearest", "color": "bgr"}, 255),
    ],
)
def test_pictures_are_cropped_and_resized_as_on_the_device(
    model: Path, tmp_path: Path, recipe: dict[str, str], brightest: int
) -> None:
    """A wide picture, bright at its sides alone: what the model sees of it is a matter of `resize`."""
    picture = np.full((30, 90, 3), 100, np.uint8)
    picture[:, :20] = picture[:, -20:] = 255
    picture[10:20, 40:50] = 0
    folder = tmp_path / "wide"
    folder.mkdir()
    cv2.imwrite(str(folder / "wide.png"), picture)
    scale, zero_point = convert(model, tmp_path / "out", folder, "int8", recipe=recipe).input()["quantization"]
    assert scale * (127 - zero_point) == pytest.approx(brightest / 255, rel=0.01)


def test_a_letterboxs_border_is_the_recipes(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dark"
    folder.mkdir()
    cv2.imwrite(str(folder / "dark.png"), np.zeros((30, 90, 3), np.uint8))
    for pad in (64, 200):
        done = convert(model, tmp_path / f"{pad}", folder, "int8", recipe={"resize": "letterbox", "pad": pad})
        scale, zero_point = done.input()["quantization"]
        assert scale * (127 - zero_point) == pytest.approx(pad / 255, rel=0.01)


def test_so_many_pictures_as_asked_for(model: Path, pictures: Path, tmp_path: Path) -> None:
    done = convert(model, tmp_path / "out", pictures, "int8", samples=5)
    assert done.calibrated == done.facts["pictures"] == 5


def test_a_network_for_pictures_of_any_size_gets_one(pictures: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    source = networks.function(tmp_path, lambda picture: tf.reduce_mean(picture, (1, 2)), (None, None, None, 3))
    done = convert(source, tmp_path / "out", pictures, "int8", size=(24, 10))
    assert tuple(done.input()["shape"]) == (1, 10, 24, 3)


def test_an_onnx_network_for_any_size_too(pictures: Path, tmp_path: Path) -> None:
    source = networks.onnx_file(tmp_path, {0: "batch", 2: "height", 3: "width"})
    done = convert(source, tmp_path / "out", pictures, "float32", size=(24, 10))
    assert tuple(done.input("float32")["shape"]) == (1, 10, 24, 3)
    assert done.variants["float32"]["source_difference"] < 1e-5


def test_onnx_with_its_channels_last_stays_so(pictures: Path, tmp_path: Path) -> None:
    """As tf2onnx writes them: a transpose is the first operator."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Transpose", ["picture"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel"], ["maps"], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["means"]),
        helper.make_node("Flatten", ["means"], ["scores"]),
    ]
    kernel = np.random.default_rng(2).standard_normal((4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 12, 20, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    source = tmp_path / "last.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), source)
    done = convert(source, tmp_path / "out", pictures, "float32", "int8")
    assert tuple(done.input("float32")["shape"]) == (1, 12, 20, 3)
    assert done.variants["float32"]["source_difference"] < 1e-5


def test_the_ranges_of_a_quantization_aware_training_are_kept(pictures: Path, tmp_path: Path) -> None:
    """Fake quantization says -1 to 3; the pictures would say 0 to 1, and are not needed."""
    import tensorflow as tf

    kernel = tf.constant(np.random.default_rng(2).uniform(-1, 1, (3, 3, 3, 4)), tf.float32)

    def call(picture: tf.Tensor) -> tf.Tensor:
        seen = tf.quantization.fake_quant_with_min_max_args(picture, -1, 3)
        weights = tf.quantization.fake_quant_with_min_max_args(kernel, -1, 1, narrow_range=True)
        maps = tf.nn.relu6(tf.nn.conv2d(seen, weights, 2, "SAME"))
        return tf.quantization.fake_quant_with_min_max_args(maps, 0, 6)

    source = networks.function(tmp_path, call)
    for name, representative in (("with", pictures), ("without", None)):
        done = convert(source, tmp_path / name, representative, "float32", "int8")
        assert done.facts["fake_quantized"] == 3
        assert done.calibrated == 0
        scale, zero_point = done.input()["quantization"]
        assert (scale, zero_point) == (pytest.approx(4 / 255, rel=1e-3), -64)
        row = measured("int8", done.file("int8"))
        assert (row.input, row.output, row.float_operators) == ("int8", "int8", 0)


def test_a_model_of_the_optimization_toolkit_passes_through(tmp_path: Path) -> None:
    """Trained for two steps by tensorflow_model_optimization, its wrappers saved with it."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    model = tfmot.quantization.keras.quantize_model(networks.layers(tf_keras))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(np.random.default_rng(0).random((8, 16, 16, 3), np.float32), np.arange(8) % 4, epochs=2, verbose=0)
    source = tmp_path / "aware.h5"
    model.save(source)
    done = convert(source, tmp_path / "out", None, "int8")
    assert done.facts["fake_quantized"] > 0
    row = measured("int8", done.file("int8"))
    assert (row.input, row.output, row.float_operators) == ("int8", "int8", 0)


def test_a_pruned_models_zeros_are_counted_and_save_room(pictures: Path, tmp_path: Path) -> None:
    import keras

    rows = {}
    for name, share in (("whole", 0.0), ("pruned", 0.75)):
        model = networks.layers(keras)
        dense = model.layers[-1]
        weights, biases = dense.get_weights()
        cut = np.random.default_rng(0).permutation(weights.size)[: int(share * weights.size)]
        weights.flat[cut] = 0
        dense.set_weights([weights, biases])
        model.save(tmp_path / f"{name}.keras")
        done = convert(tmp_path / f"{name}.keras", tmp_path / name, pictures, "float32", "int8")
        others = done.facts["weights"] - weights.size
        assert (others, done.facts["zeros"]) == (3 * 3 * 3 * 8, int(share * weights.size))
        rows[name] = {variant: measured(variant, done.file(variant)) for variant in ("float32", "int8")}
    for variant in ("float32", "int8"):
        whole, pruned = rows["whole"][variant], rows["pruned"][variant]
        assert pruned.bytes == pytest.approx(whole.bytes, rel=0.02)
        assert pruned.gzip_bytes < 0.75 * whole.gzip_bytes


def test_a_model_in_pruning_wrappers_is_taken_out_of_them(pictures: Path, tmp_path: Path) -> None:
    """As tensorflow_model_optimization saves it when strip_pruning is forgotten."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    half = tfmot.sparsity.keras.ConstantSparsity(0.5, 0, frequency=1)
    model = tfmot.sparsity.keras.prune_low_magnitude(networks.layers(tf_keras), pruning_schedule=half)
    model.compile("sgd", "sparse_categorical_crossentropy")
    noise = np.random.default_rng(0).random((8, 16, 16, 3), np.float32)
    step = tfmot.sparsity.keras.UpdatePruningStep()
    model.fit(noise, np.arange(8) % 4, epochs=2, verbose=0, callbacks=[step])
    model.save(tmp_path / "pruned.h5")
    done = convert(tmp_path / "pruned.h5", tmp_path / "out", pictures, "float32", "int8")
    assert done.facts["zeros"] / done.facts["weights"] == pytest.approx(0.5, abs=0.01)


def test_the_case_of_the_digits_has_its_sizes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/case-digits.md: 12.89 MB and 3.23 MB, whatever the weights are; training is the script's."""
    monkeypatch.syspath_prepend(str(root / "examples" / "digits"))
    import train

    folders = train.write_pictures(tmp_path)
    tensors, classes = train.prepared(folders["held-out"])
    assert tensors.shape == (450, 32, 32, 1)
    assert (tensors.min(), tensors.max()) == (0, 1)
    assert set(classes) == set(range(10))
    train.network().save(tmp_path / "digits.keras")
    recipe = {"color": "gray", "mean": (0,), "std": (255,), "interpolation": "bicubic"}
    done = convert(
        tmp_path / "digits.keras", tmp_path / "out", folders["train"], "float32", "int8", recipe=recipe, samples=20
    )
    assert done.variants["float32"]["bytes"] / 1e6 == pytest.approx(12.89, abs=0.01)
    assert done.variants["int8"]["bytes"] / 1e6 == pytest.approx(3.23, abs=0.01)
    assert done.input()["quantization"] == (pytest.approx(1 / 255, rel=1e-5), -128)
    document = (root / "docs" / "case-digits.md").read_text()
    for variant in ("float32", "int8"):
        assert f"| {variant} | about {done.variants[variant]['bytes'] / 1e6:.2f} MB |" in document
