"""Scenes to train on: pictures as the device's preprocessing makes them, boxes in pixels of the input."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))

from visiond.cameras.scenes import still_scene
from visiond.cameras.solids import LABELS

WIDTH: Final = 192
HEIGHT: Final = 144
CLASSES: Final = len(LABELS)
MAX_BOXES: Final = 12
# Cameras differ: what was sharp at 640 wide is coarse at 320. A scene's seed decides its size.
SIZES: Final = ((640, 480), (640, 480), (320, 240), (480, 360))
TRAINING_SEED: Final = 1_000_000
UNSEEN_SEED: Final = 50_000_000  # evaluate.py draws from here, training never does


def draw(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return one scene: RGB (HEIGHT, WIDTH, 3), and rows of class, xmin, ymin, xmax, ymax; unused rows hold -1."""
    cv2.setNumThreads(1)
    picture, truth = still_scene(seed, SIZES[seed % len(SIZES)])
    small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)  # as model.yaml says
    boxes = np.full((MAX_BOXES, 5), -1, np.float32)
    for row, (each, box) in enumerate((each, each.box) for each in truth[:MAX_BOXES]):
        corners = (box.xmin * WIDTH, box.ymin * HEIGHT, box.xmax * WIDTH, box.ymax * HEIGHT)
        boxes[row] = (LABELS.index(each.label), *corners)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8), boxes


def draw_many(first_seed: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return `count` scenes as (count, HEIGHT, WIDTH, 3) and (count, MAX_BOXES, 5)."""
    with multiprocessing.get_context("spawn").Pool() as pool:
        drawn = pool.map(draw, range(first_seed, first_seed + count), chunksize=100)
    return np.stack([picture for picture, _ in drawn]), np.stack([boxes for _, boxes in drawn])


def augment(
    pictures: NDArray[np.uint8], boxes: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mirror half of a batch, and change contrast, brightness and tint."""
    pictures, boxes = pictures.copy(), boxes.copy()
    mirrored = rng.random(len(pictures)) < 0.5
    pictures[mirrored] = pictures[mirrored][:, :, ::-1]
    real = mirrored[:, None] & (boxes[..., 0] >= 0)
    left, right = boxes[..., 1].copy(), boxes[..., 3].copy()
    boxes[..., 1] = np.where(real, WIDTH - right, left)
    boxes[..., 3] = np.where(real, WIDTH - left, right)
    contrast = rng.uniform(0.75, 1.25, (len(pictures), 1, 1, 1))
    shift = rng.uniform(-25, 25, (len(pictures), 1, 1, 3 if rng.random() < 0.5 else 1))
    changed = (pictures.astype(np.float32) - 128) * contrast + 128 + shift
    return np.clip(changed, 0, 255).astype(np.uint8), boxes
