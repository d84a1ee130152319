"""The decoder of a package on an interpreter, for the thresholds of whoever asks."""

from __future__ import annotations

from visiond.engine.decode.decoder import Decoder, DecodeSettings, make_decoder
from visiond.engine.interpreter import Interpreter
from visiond.modelkit.package import Package


def package_decoder(package: Package, interpreter: Interpreter, min_score: float, max_objects: int) -> Decoder:
    """Return it; `min_score` is 0 to 1. Raises ModelError in words when the outputs do not fit the package."""
    _, height, width, _ = interpreter.input.shape
    settings = DecodeSettings(package.load_labels(), min_score, max_objects, (width, height))
    return make_decoder(package.output, interpreter.outputs, settings)
