"""Conversion: from the source to the files of its variants, in one process that has TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.doctor.child_side import Tell
from visiond.errors import DataError, UsageError
from visiond.modelkit.convert.child.graph import Contents, Graph, contents
from visiond.modelkit.convert.child.keras_source import read_keras
from visiond.modelkit.convert.child.onnx_source import read_onnx
from visiond.modelkit.convert.child.representative import Representative, TensorShape, chosen_pictures
from visiond.modelkit.convert.child.savedmodel_source import read_savedmodel
from visiond.modelkit.convert.child.tflite import converted, difference
from visiond.modelkit.manifest import InputRecipe

_SAMPLES: Final = 20  # that onnx2tf compares operators on
_MAX_DIFFERENCE: Final = 0.02  # rounding gives a few millionths, a wrong transposition nearly all
_MAX_QUANTIZED_DIFFERENCE: Final = 0.2  # where ranges are simulated, a rounding moves a value by a whole level


class Conversion:
    """One order: `source`, `form`, `size`, `input` (the recipe), `representative`, `samples`, `variants` with the file
    that each becomes, `prove` (whether a float32 file is to be compared with the source, also where none is wanted),
    `io_type`, `work` (a folder for everything that is on its way)."""

    def __init__(self, order: Mapping[str, Any], tell: Tell) -> None:
        self._order = order
        self._tell = tell
        self._work = Path(order["work"])
        self._recipe = InputRecipe.model_validate(order["input"])
        folder = order["representative"]
        self._pictures = () if folder is None else chosen_pictures(Path(folder), order["samples"])

    def carry_out(self) -> None:
        """Convert all variants; raises a VisiondError, OSError or MemoryError, and those that are finished stay."""
        self._tell(stage="starting TensorFlow")
        graph = self._read()
        found = contents(graph)
        representative = Representative(self._recipe, graph.shape, self._pictures)
        self._tell(facts={"kind": graph.kind, "shape": graph.shape, **asdict(found), "pictures": len(representative)})
        if "int8" in self._order["variants"] and not (found.fake_quantized or len(representative)):
            raise UsageError(
                "int8 needs pictures to find its ranges with; give a folder of some hundred with --representative DIR, "
                "or leave int8 out: --variants float32,float16,dynamic"
            )
        if self._order["prove"] and "float32" not in self._order["variants"]:
            self._tell(stage="comparing its float32 file with the source")
            content = converted(graph, "float32", self._order["io_type"], found.fake_quantized > 0, None)
            self._tell(source_difference=self._proved(content, graph, found, representative))
        for variant, file in self._order["variants"].items():
            self._tell(stage=f"converting to {variant}")
            self._make(variant, Path(file), graph, found, representative)

    def _read(self) -> Graph:
        source, size = Path(self._order["source"]), self._order["size"]
        size = None if size is None else (int(size[0]), int(size[1]))
        form = self._order["form"]
        self._tell(stage="reading the model")
        if form == "keras":
            return read_keras(source, size)
        if form == "savedmodel":
            return read_savedmodel(source, size)
        return read_onnx(source, size, self._samples, self._work)

    def _samples(self, shape: TensorShape) -> list[NDArray[np.float32]]:
        few = Representative(self._recipe, shape, self._pictures[:_SAMPLES])
        return list(few.tensors(lambda *_: None))

    def _make(self, variant: str, file: Path, graph: Graph, found: Contents, representative: Representative) -> None:
        tensors = (lambda: self._calibration(representative)) if len(representative) else None
        content = converted(graph, variant, self._order["io_type"], found.fake_quantized > 0, tensors)
        facts: dict[str, Any] = {}
        if variant == "float32":
            facts["source_difference"] = self._proved(content, graph, found, representative)
        part = file.with_name(f"{file.name}.part")
        with part.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
        self._tell(variant=variant, bytes=len(content), **facts)

    def _proved(self, content: bytes, graph: Graph, found: Contents, representative: Representative) -> float | None:
        """Return how far the float32 file is from the source, None where that cannot be told; raises DataError."""
        apart = difference(content, graph, self._probe(graph, representative))
        limit = _MAX_QUANTIZED_DIFFERENCE if found.fake_quantized else _MAX_DIFFERENCE
        if apart is not None and apart > limit:
            raise DataError(
                f"the TFLite file of {self._order['source']} computes something else (outputs differ by "
                f"{apart:.0%} of the largest); export the model otherwise: with another opset, or as a SavedModel"
            )
        return apart

    def _calibration(self, representative: Representative) -> Iterator[NDArray[np.float32]]:
        yield from representative.tensors(lambda done, of: self._tell(done=done, of=of))

    def _probe(self, graph: Graph, representative: Representative) -> NDArray[np.float32]:
        """One tensor to compare with: the first picture, or noise in the range that the recipe gives pixels."""
        for tensor in representative.tensors(lambda *_: None):
            return tensor
        pixels = np.random.default_rng(0).integers(0, 256, graph.shape)
        real: NDArray[np.float64] = (pixels - np.asarray(self._recipe.mean)) / np.asarray(self._recipe.std)
        return real.astype(np.float32)
