"""A small PyTorch CNN that reads digits, trained here in seconds, and pictures of digits that it has not seen.

Needs the environment of the `convert` extra. The pictures are scikit-learn's digits in colour, larger than the input
and not square, so that resize and crop have something to do; they are prepared as torchvision does it with Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

SIDE = 32
SHORTER_SIDE = 36
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECIPE: dict[str, Any] = {
    "resize": "shorter_side",
    "shorter_side": SHORTER_SIDE,
    "interpolation": "pil_bilinear",
    "color": "rgb",
    "mean": [255 * value for value in MEAN],
    "std": [255 * value for value in STD],
}
_PICTURE = (64, 52)  # width, height
_TRAINED_ON = 1400
_EPOCHS = 6


def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class DigitsCnn(nn.Module):
    """Logits of ten classes, from (batch, 3, height, width); any size, for it pools globally."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(block(3, 16, 2), block(16, 32, 1), block(32, 32, 2), block(32, 64, 1))
        self.head = nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images).mean((2, 3)))


@dataclass(frozen=True)
class Digits:
    """The trained network, and pictures (PIL, RGB) with their digits that it was not trained on."""

    network: DigitsCnn
    pictures: list[Image.Image]
    numbers: list[int]

    def probabilities(self, picture: Image.Image) -> np.ndarray:
        with torch.inference_mode():
            return torch.softmax(self.network(prepared(picture)[None]), 1)[0].numpy()

    def write_pictures(self, folder: Path, count: int) -> list[Path]:
        """PNG keeps each pixel."""
        folder.mkdir()
        paths = [folder / f"{number:03}.png" for number in range(count)]
        for path, picture in zip(paths, self.pictures, strict=False):
            picture.save(path)
        return paths


def drawn(values: np.ndarray, chance: np.random.Generator) -> Image.Image:
    """One digit (8×8, 0 to 16) in one colour on another, somewhat off the middle of a picture."""
    mask = Image.fromarray((values * 15.9).astype(np.uint8)).resize((44, 44), Image.Resampling.BICUBIC)
    ground, ink = chance.integers(0, 90, 3), chance.integers(150, 256, 3)
    picture = Image.new("RGB", _PICTURE, tuple(int(value) for value in ground))
    left, top = (int(value) for value in chance.integers(-2, 3, 2))
    picture.paste(tuple(int(value) for value in ink), (10 + left, 4 + top), mask)
    noise = chance.normal(0, 6, (_PICTURE[1], _PICTURE[0], 3))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def prepared(picture: Image.Image) -> torch.Tensor:
    """torchvision's Resize(36), CenterCrop(32), ToTensor, Normalize, in the words of its own source.

    transforms/functional.py: _compute_resized_image_output_size, center_crop; Pillow resizes.
    """
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    longer = int(SHORTER_SIDE * long / short)
    size = (SHORTER_SIDE, longer) if width <= height else (longer, SHORTER_SIDE)
    resized = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = (round((side - SIDE) / 2.0) for side in size)
    pixels = np.asarray(resized.crop((left, top, left + SIDE, top + SIDE)))
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(torch.float32) / 255
    return (tensor - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def trained() -> Digits:
    """Seeded; about 10 s on one core."""
    torch.manual_seed(7)
    torch.set_num_threads(1)  # two that wait for each other on a busy machine take four times as long
    chance = np.random.default_rng(7)
    data = load_digits()
    pictures = [drawn(values, chance) for values in data.images]
    inputs = torch.stack([prepared(picture) for picture in pictures])
    targets = torch.from_numpy(data.target.astype(np.int64))
    network = DigitsCnn().train()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS)
    for _ in range(_EPOCHS):
        for batch in torch.randperm(_TRAINED_ON).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
            optimizer.step()
        slower.step()
    return Digits(network.eval(), pictures[_TRAINED_ON:], [int(number) for number in data.target[_TRAINED_ON:]])
