"""Which kernels of a TFLite runtime compute on the CPU."""

from __future__ import annotations

from typing import Final, Literal

# xnnpack is what runs by default; builtin, the runtime's own optimized kernels without XNNPACK; reference, its plain
# and slow ones, which the others are compared with.
Kernels = Literal["xnnpack", "builtin", "reference"]

RESOLVERS: Final[dict[Kernels, str]] = {  # names of OpResolverType, which LiteRT and tflite-runtime share
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
