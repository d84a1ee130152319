"""Models of Keras: .keras and .h5, of Keras 3 or of the Keras that came with TensorFlow up to 2.15 (tf-keras)."""

from __future__ import annotations

import json
import re
import zipfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from visiond.errors import DataError
from visiond.modelkit.convert.child.graph import Graph, graph_of, picture_shape

_EXPORT: Final = "save it as a SavedModel instead, with model.export(FOLDER) where its classes are known"

_UNKNOWN: Final = re.compile(r"(?:Could not locate class|Unknown \w+:) '?(\w+)")


def read_keras(path: Path, size: tuple[int, int] | None) -> Graph:
    """Load a whole model; raises DataError in words: no such file format, weights alone, classes of its own."""
    version = _keras_version(path)
    legacy = version.startswith("2.")
    model = _load_legacy(path) if legacy else _load(path)
    inputs, what = list(model.inputs), f"{path}"
    if len(inputs) != 1:
        raise DataError(
            f"{what} has {len(inputs)} inputs, and visiond feeds one picture; convert a model with one input"
        )
    shape = picture_shape([None if side is None else int(side) for side in inputs[0].shape], what, size)
    return graph_of(lambda picture: model(picture, training=False), shape, f"Keras {version} model")


def _keras_version(path: Path) -> str:
    """Return the version that wrote it. Raises DataError where the file is none of Keras."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])
        return _h5_version(path)
    except (KeyError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{path} is no Keras model, or damaged ({_first_line(error)}); save it again with model.save"
        ) from error


def _h5_version(path: Path) -> str:
    import h5py

    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise DataError(
                f"{path} holds weights and no model; load them into the model, and save all of it with model.save"
            )
        version = file.attrs.get("keras_version", "2.")
        return version.decode() if isinstance(version, bytes) else str(version)


def _load(path: Path) -> Any:
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except (TypeError, ValueError, KeyError, OSError) as error:
        raise _not_loaded(path, error) from error


def _load_legacy(path: Path) -> Any:
    import tf_keras

    try:
        with _known_wrappers():
            model = tf_keras.models.load_model(path, compile=False)
    except (TypeError, ValueError, KeyError, OSError) as error:
        raise _not_loaded(path, error) from error
    if any(type(layer).__name__ == "PruneLowMagnitude" for layer in model.layers):  # they assign, which no file can
        import tensorflow_model_optimization as tfmot

        model = tfmot.sparsity.keras.strip_pruning(model)
    return model


def _known_wrappers() -> ExitStack:
    """The classes of TensorFlow's model optimization toolkit, where it is installed: quantization-aware, pruned."""
    scopes = ExitStack()
    if find_spec("tensorflow_model_optimization") is not None:
        import tensorflow_model_optimization as tfmot

        scopes.enter_context(tfmot.quantization.keras.quantize_scope())
        scopes.enter_context(tfmot.sparsity.keras.prune_scope())
    return scopes


def _not_loaded(path: Path, error: Exception) -> DataError:
    text = str(error)
    if "Lambda" in text and "deserializ" in text:
        return DataError(f"{path} has a Lambda layer, which is code and is not run from a file; {_EXPORT}")
    unknown = _UNKNOWN.search(text)
    if unknown is not None:
        return DataError(f"{path} has a class of its own, {unknown[1]}; {_EXPORT}")
    return DataError(f"{path} cannot be loaded ({_first_line(error)}); save it again with model.save, or {_EXPORT}")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
