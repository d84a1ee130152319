"""Anchors: the boxes that an SSD's encodings are relative to, as TensorFlow's Object Detection API generates them.

ssd: `create_ssd_anchors` of anchor_generators/multiple_grid_anchor_generator.py, after Liu et al. 2016, "SSD: Single
Shot MultiBox Detector", section 2.2. multiscale: multiscale_grid_anchor_generator.py, after Lin et al. 2017, "Focal
Loss for Dense Object Detection", section 4: the SSDs with a feature pyramid, RetinaNet and EfficientDet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Shape = tuple[float, float]  # height, width

_RATIOS: Final = {"ssd": (1.0, 2.0, 0.5, 3.0, 1 / 3), "multiscale": (1.0, 2.0, 0.5)}
_LAYERS: Final = {"ssd": 6, "multiscale": 5}
_FIRST_STRIDE: Final = {"ssd": 16, "multiscale": 8}
# In the lowest layer of an SSD, which has the most cells, three boxes do: scale and aspect ratio of each.
_LOWEST_SCALE: Final = 0.1


class AnchorSpec(Protocol):
    """How anchors are generated; `visiond.modelkit.manifest.Anchors` is one and describes each value."""

    @property
    def generator(self) -> str:
        """ssd or multiscale."""

    @property
    def layers(self) -> int | None:
        """Number of grids, each with half the cells of the one before; None: the generator's usual number."""

    @property
    def first_stride(self) -> int | None:
        """Pixels from cell to cell of the finest grid; None: the generator's usual one."""

    @property
    def aspect_ratios(self) -> Sequence[float] | None:
        """Width to height; None: the generator's usual ones."""

    @property
    def min_scale(self) -> float:
        """Side of a box of the finest grid, as a fraction of the input; ssd only."""

    @property
    def max_scale(self) -> float:
        """The same for the coarsest grid; ssd only."""

    @property
    def reduce_lowest(self) -> bool:
        """Whether the finest grid has three boxes for each cell only; ssd only."""

    @property
    def anchor_scale(self) -> float:
        """Side of a box in strides; multiscale only."""

    @property
    def scales_per_octave(self) -> int:
        """Boxes of each ratio between one grid's size and the next one's; multiscale only."""


def anchors_of(spec: AnchorSpec, input_size: tuple[int, int]) -> NDArray[np.float32]:
    """Return all anchors as y and x of the centre, height and width, (N, 4) fractions of the input.

    `input_size` is (width, height) in pixels. The order is the encodings': grid by grid from the finest, row by row,
    cell by cell, and for each cell its shapes.
    """
    generator = spec.generator
    ratios = spec.aspect_ratios or _RATIOS[generator]
    layers = spec.layers or _LAYERS[generator]
    stride = spec.first_stride or _FIRST_STRIDE[generator]
    grids = []
    for layer in range(layers):
        columns, rows = (_halved(math.ceil(side / stride), layer) for side in input_size)
        if generator == "ssd":
            shapes = list(_ssd_shapes(spec, layer, layers, ratios))
            y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
        else:
            step = stride << layer
            shapes = list(_multiscale_shapes(spec, step, ratios, input_size))
            y, x = (_centres(count, step, side) for count, side in zip((rows, columns), input_size[::-1], strict=True))
        grids.append(_tiled(y, x, shapes))
    return np.concatenate(grids).astype(np.float32)


def _ssd_shapes(spec: AnchorSpec, layer: int, layers: int, ratios: Sequence[float]) -> Iterator[Shape]:
    scale, following = (_ssd_scale(spec, number, layers) for number in (layer, layer + 1))
    if layer == 0 and spec.reduce_lowest:
        yield from (_shape(*each) for each in ((_LOWEST_SCALE, 1.0), (scale, 2.0), (scale, 0.5)))
        return
    yield from (_shape(scale, ratio) for ratio in ratios)
    yield _shape(math.sqrt(scale * following), 1.0)


def _ssd_scale(spec: AnchorSpec, layer: int, layers: int) -> float:
    """Scales rise evenly from the finest grid's to the coarsest one's; 1 follows."""
    if layer == layers:
        return 1.0
    return spec.min_scale + (spec.max_scale - spec.min_scale) * layer / max(1, layers - 1)


def _multiscale_shapes(
    spec: AnchorSpec, stride: int, ratios: Sequence[float], input_size: tuple[int, int]
) -> Iterator[Shape]:
    for ratio in ratios:
        for part in range(spec.scales_per_octave):
            height, width = _shape(stride * spec.anchor_scale * 2 ** (part / spec.scales_per_octave), ratio)
            yield height / input_size[1], width / input_size[0]


def _shape(scale: float, ratio: float) -> Shape:
    """Height and width of a box of the area scale², `ratio` times as wide as high."""
    return scale / math.sqrt(ratio), scale * math.sqrt(ratio)


def _halved(cells: int, times: int) -> int:
    for _ in range(times):
        cells = math.ceil(cells / 2)
    return cells


def _centres(count: int, stride: int, side: int) -> NDArray[np.float64]:
    """The first cell's centre lies half a stride from the edge only where the strides fill the side exactly."""
    offset = stride / 2 if side % stride == 0 else 0.0
    return (np.arange(count) * stride + offset) / side


def _tiled(y: NDArray[np.float64], x: NDArray[np.float64], shapes: Sequence[Shape]) -> NDArray[np.float64]:
    rows, columns, each = np.meshgrid(y, x, np.arange(len(shapes)), indexing="ij")
    sizes = np.array(shapes)[each.astype(np.intp).ravel()]
    return np.column_stack([rows.ravel(), columns.ravel(), sizes])
