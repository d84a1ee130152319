"""The network: two grids of cells, each with class logits and box distances; only operators that the Edge TPU maps."""

from __future__ import annotations

from typing import Final

import keras
import numpy as np
from scenes_dataset import CLASSES, HEIGHT, WIDTH

layers = keras.layers

BINS: Final = 16
STRIDES: Final = (8, 16)


def build(batch_size: int | None = None) -> keras.Model:
    """Return the model: (HEIGHT, WIDTH, 3) in 0..1 → logits [N, CLASSES] and distances [N, 4 * BINS]."""
    picture = keras.Input((HEIGHT, WIDTH, 3), batch_size=batch_size)
    x = _conv(picture, 8, stride=2)
    x = _conv(x, 16, stride=2)
    x = _conv(x, 32, stride=2)
    fine = _residual(_residual(x, 32), 32)
    coarse = _residual(_residual(_residual(_conv(fine, 64, stride=2), 64), 64), 64)
    logits, distances = [], []
    for features, stride in zip((fine, coarse), STRIDES, strict=True):
        cells = (WIDTH // stride) * (HEIGHT // stride)
        rare = keras.initializers.Constant(-4.0)  # nearly every cell is empty: begin there, not at one half
        logit = layers.Conv2D(CLASSES, 1, bias_initializer=rare)(_conv(features, 48))
        logits.append(layers.Reshape((cells, CLASSES))(logit))
        distance = layers.Conv2D(4 * BINS, 1)(_conv(features, 32))
        distances.append(layers.Reshape((cells, 4 * BINS))(distance))
    return keras.Model(picture, [layers.Concatenate(1)(logits), layers.Concatenate(1)(distances)])


def cells() -> tuple[np.ndarray, np.ndarray]:
    """Return the centre of each cell (N, 2) in pixels, and its stride (N,), in the order of the outputs."""
    centres, strides = [], []
    for stride in STRIDES:
        x, y = np.meshgrid(np.arange(WIDTH // stride), np.arange(HEIGHT // stride))
        centres.append((np.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(np.full(x.size, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _conv(x: keras.KerasTensor, filters: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
    return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.97)(x))


def _residual(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(_conv(x, filters))
    return layers.ReLU(6.0)(layers.Add()([x, layers.BatchNormalization(momentum=0.97)(y)]))
