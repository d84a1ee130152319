"""Train the network on scenes, quantize it to int8 with a representative set, write shapes.tflite beside this file.

Usage: python train.py [--steps 3500] [--scenes 10000] [--out shapes.tflite]. Seeded; 15 to 30 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from loss import detection_loss
from network import build
from scenes_dataset import TRAINING_SEED, augment, draw_many

BATCH: Final = 32
LEARNING_RATE: Final = 2e-3
WARM_UP_STEPS: Final = 200
REPRESENTATIVE: Final = 400
SEED: Final = 1


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and quantize the shapes model.")
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("shapes.tflite"))
    arguments = parser.parse_args()
    keras.utils.set_random_seed(SEED)
    began_s = time.monotonic()
    pictures, boxes = draw_many(TRAINING_SEED, arguments.scenes)
    print(f"{arguments.scenes} scenes drawn in {time.monotonic() - began_s:.0f} s", flush=True)
    model = build()
    train(model, pictures, boxes, arguments.steps)
    content = quantize(model, pictures[:REPRESENTATIVE])
    partial = arguments.out.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(arguments.out)
    print(f"{arguments.out.name}: {len(content)} bytes, after {time.monotonic() - began_s:.0f} s")


def train(model: keras.Model, pictures: np.ndarray, boxes: np.ndarray, steps: int) -> None:
    """Fit with AdamW and a cosine schedule; prints the mean loss of each hundred steps."""
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=1e-4)
    rng = np.random.default_rng(SEED)

    @tf.function
    def step(batch: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = detection_loss(*model(tf.cast(batch, tf.float32) / 255.0, training=True), truth)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    total, began_s = 0.0, time.monotonic()
    for number in range(1, steps + 1):
        cosine = 0.5 * (1 + np.cos(np.pi * number / steps))
        optimizer.learning_rate.assign(LEARNING_RATE * min(1.0, number / WARM_UP_STEPS) * cosine + 1e-6)
        chosen = rng.integers(0, len(pictures), BATCH)
        total += float(step(*augment(pictures[chosen], boxes[chosen], rng)))
        if number % 100 == 0:
            print(f"step {number} of {steps}: loss {total / 100:.3f}, {time.monotonic() - began_s:.0f} s", flush=True)
            total = 0.0


def quantize(model: keras.Model, representative: np.ndarray) -> bytes:
    """Return the model as TFLite with int8 inside and out, its ranges calibrated on real scenes."""
    fixed = build(batch_size=1)  # a fixed batch: the Edge TPU takes no dynamic shapes
    fixed.set_weights(model.get_weights())
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def samples() -> Iterator[list[np.ndarray]]:
        for picture in representative:
            yield [picture[None].astype(np.float32) / 255.0]

    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content: bytes = converter.convert()
    return content


if __name__ == "__main__":
    main()
