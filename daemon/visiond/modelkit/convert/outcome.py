"""Outcome: what there is to say of a conversion, and of the model that it began with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from visiond.modelkit.convert.compiler import Compiled
from visiond.modelkit.convert.measurement import Measured
from visiond.modelkit.convert.request import Request
from visiond.modelkit.convert.table import print_table
from visiond.modelkit.inspection import inspect_file

_PRUNED: Final = 0.2  # a share of zeros that no training leaves by itself


class Outcome:
    """`facts` are the child's of the source, `remarks` sentences that warn."""

    def __init__(
        self,
        request: Request,
        facts: Mapping[str, Any],
        rows: Sequence[Measured],
        compiled: Compiled | None,
        remarks: Sequence[str],
    ) -> None:
        self._request = request
        self._facts = facts
        self._rows = rows
        self._compiled = compiled
        self._remarks = remarks

    def to_json(self) -> dict[str, Any]:
        """One object; docs/models.md names its fields."""
        return {
            "package": str(self._request.target),
            "source": {"file": str(self._request.source), **self._facts},
            "shipped": self._request.shipped,
            "variants": [row.to_json() for row in self._rows],
            "edgetpu": None if self._compiled is None else self._compiled.text,
            "remarks": list(self._remarks),
        }

    def print(self, out: TextIO) -> None:
        """For a person."""
        target = self._request.target
        print_table(self._rows, out)
        for remark in self._remarks:
            print(f"warning: {remark}", file=out)
        if self._compiled is not None:
            print(self._compiled.text, file=out)
        shipped = self._request.file_name(self._request.shipped)
        print(f"{target} is a whole package, with {shipped} as files.cpu; for visiond.yaml:", file=out)
        print(f"models: {{objects: {{package: {json.dumps(str(target.absolute()))}}}}}", file=out)
        if self._request.shipped != "float32" and "float32" in self._request.variants:
            reference = target / self._request.file_name("float32")
            command = ["visiond", "models", "verify", str(target), "--reference", str(reference)]
            print(f"next, on the device:  {shlex.join(command)}", file=out)


def edgetpu_text(file: Path) -> str:
    """Say how much of a file an Edge TPU would take. Raises DataError, NoInputError."""
    found = inspect_file(file)
    of = sum(found.operators.values())
    return f"{found.edgetpu.mapped} of {of} operators would run on an Edge TPU by its published rules"


def source_text(facts: Mapping[str, Any]) -> str:
    """Say what the source is."""
    _, height, width, channels = facts["shape"]
    zeros = facts["zeros"] / max(1, facts["weights"])
    size = f"{width}×{height}×{channels}"
    text = f"{facts['kind']}, input {size}, {facts['weights']:,} weights, {100 * zeros:.1f} % of them zero"
    if zeros >= _PRUNED:
        text += ": it is pruned, and what that saves shows when it is gzipped"
    if facts["fake_quantized"]:
        text += f"; quantization-aware ({facts['fake_quantized']} ranges of its training, which int8 keeps)"
    return text
