"""Small networks in each form that a model may come in: four classes, pictures of 16×16 with three channels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16
CLASSES = ("red", "green", "blue", "grey")

Build = Callable[[Path], Path]


def layers(keras: Any) -> Any:
    """A classifier of `keras` or of `tf_keras`, with seeded weights."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.layers.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )


def keras3(folder: Path) -> Path:
    """A .keras file."""
    import keras

    layers(keras).save(folder / "net.keras")
    return folder / "net.keras"


def keras3_h5(folder: Path) -> Path:
    """Keras 3's .h5."""
    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers(keras).save(folder / "net3.h5")
    return folder / "net3.h5"


def legacy_h5(folder: Path) -> Path:
    """The .h5 of the Keras that came with TensorFlow up to 2.15."""
    import tf_keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers(tf_keras).save(folder / "net2.h5")
    return folder / "net2.h5"


def savedmodel(folder: Path) -> Path:
    """A folder, with an open batch axis."""
    import keras

    layers(keras).export(folder / "net_saved", verbose=False)
    return folder / "net_saved"


def onnx_file(folder: Path, opens: dict[int, str] | None = None, **options: Any) -> Path:
    """What PyTorch's older exporter writes, in a tenth of the newer one's time: channels first.

    `opens` names axes that stay open; `options` are those of torch.onnx.export.
    """
    import torch

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, 2, 1)
            self.norm = torch.nn.BatchNorm2d(8)
            self.dense = torch.nn.Linear(8, len(CLASSES))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = torch.relu(self.norm(self.conv(images)))
            return torch.softmax(self.dense(maps.mean((2, 3))), 1)

    torch.manual_seed(3)
    path = folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1 if not opens else 2, 3, SIDE, SIDE)
        if opens:
            options |= {"input_names": ["images"], "dynamic_axes": {"images": opens}}
        torch.onnx.export(Net().eval(), (example,), path, **{"dynamo": False, "verbose": False, **options})
    return path


def torch_export(folder: Path) -> Path:
    """What PyTorch's exporter writes today, its operators in its newest opset."""
    return onnx_file(folder, dynamo=True, external_data=False)


def function(folder: Path, call: Callable[[Any], Any], shape: tuple[int | None, ...] = (1, SIDE, SIDE, 3)) -> Path:
    """A SavedModel of any function of one tensor."""
    import tensorflow as tf

    module = tf.Module()
    module.call = tf.function(call, input_signature=[tf.TensorSpec(shape, tf.float32, "picture")])
    path = folder / "function"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.call})
    return path


def pictures(folder: Path, count: int = 12, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """Labelled folders of noisy pictures (PNG, width × height), black and white among their pixels."""
    rng = np.random.default_rng(1)
    for number in range(count):
        name = CLASSES[number % len(CLASSES)]
        picture = rng.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        picture[0, 0], picture[0, 1] = 0, 255
        (folder / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name / f"{number:02}.png"), picture)
    return folder


def run(file: Path, tensor: NDArray[Any]) -> list[NDArray[Any]]:
    """The outputs of a TFLite file, as real numbers; `tensor` holds real numbers too."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    interpreter.set_tensor(taken["index"], quantized(tensor, taken))
    interpreter.invoke()
    return [real(interpreter.get_tensor(each["index"]), each) for each in interpreter.get_output_details()]


def quantized(values: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    """As q = round(real / scale) + zero_point, where the tensor has a scale."""
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def real(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.float64]:
    """As (q - zero_point) · scale."""
    scale, zero_point = details["quantization"]
    return (values.astype(np.float64) - zero_point) * scale if scale else values.astype(np.float64)
