"""Trains the digits network of docs/case-digits.md: `python train.py FOLDER`, in the convert environment.

Writes FOLDER/digits.keras, and scikit-learn's digits as labelled folders: FOLDER/train and FOLDER/held-out.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import TensorInfo
from visiond.modelkit.convert.recipe import recipe_of_file

SIDE = 32
SEED = 7
HELD_OUT = 450  # of 1797
EPOCHS = 12
BATCH = 64


def main() -> None:
    """Write the pictures, train on them as the device will see them, and save the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    folders = write_pictures(given.folder)
    pictures, classes = prepared(folders["train"])
    held_out = prepared(folders["held-out"])
    model = network()
    model.fit(pictures, classes, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    _, accuracy = model.evaluate(*held_out, verbose=0)
    model.save(given.folder / "digits.keras")
    print(f"{len(pictures)} pictures trained, {len(held_out[0])} held out: accuracy {accuracy:.4f} in Keras")


def network() -> Any:
    """Conv(32,3), Conv(32,3), Flatten, Dense(128), Dense(10): 3,222,250 parameters, seeded."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, EPOCHS * (1797 - HELD_OUT) // BATCH)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def write_pictures(folder: Path) -> dict[str, Path]:
    """Write each digit as an 8×8 PNG into a folder of its class; the split is a seeded permutation."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.images))
    parts = {"held-out": order[:HELD_OUT], "train": order[HELD_OUT:]}
    for name, numbers in parts.items():
        for number in numbers:
            place = folder / name / str(digits.target[number])
            place.mkdir(parents=True, exist_ok=True)
            levels = np.round(digits.images[number] * (255 / 16)).astype(np.uint8)
            cv2.imwrite(str(place / f"{number:04}.png"), levels)
    return {name: folder / name for name in parts}


def prepared(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the folder's pictures as the package's own preprocessing makes them, and their classes."""
    recipe = recipe_of_file(Path(__file__).with_name("model.yaml")).keys.input
    shape = (1, SIDE, SIDE, 1)
    preprocessor = Preprocessor(recipe, TensorInfo(0, "picture", shape, np.dtype(np.float32)))
    paths = sorted(folder.glob("*/*.png"))
    tensors = np.empty((len(paths), *shape), np.float32)
    for path, tensor in zip(paths, tensors, strict=True):
        preprocessor.write(cv2.imread(str(path), cv2.IMREAD_COLOR), tensor)
    return tensors[:, 0], np.array([int(path.parent.name) for path in paths])


if __name__ == "__main__":
    main()
