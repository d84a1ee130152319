"""The runtimes for TFLite models that this environment has: LiteRT, and tflite-runtime where it has its own one."""

from importlib.util import find_spec
from typing import Final

_MODULES: Final = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
TFLITE_RUNTIMES: Final = tuple(name for name, module in _MODULES.items() if find_spec(module) is not None)
