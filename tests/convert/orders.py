"""Conversions within the test's own process: TensorFlow is loaded once for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visiond.modelkit.convert.child.conversion import Conversion
from visiond.modelkit.convert.request import form_of

RECIPE = {"color": "rgb", "mean": (0, 0, 0), "std": (255, 255, 255)}


class Done:
    """What a conversion said and made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {}
        self.variants: dict[str, dict[str, Any]] = {}
        self.calibrated = 0
        self.proved: float | None = None

    def hear(self, **message: Any) -> None:
        """Take in one message of the child."""
        if "facts" in message:
            self.facts = message["facts"]
        elif "variant" in message:
            self.variants[message["variant"]] = message
        elif "source_difference" in message:
            self.proved = message["source_difference"]
        elif "of" in message:
            self.calibrated = max(self.calibrated, message["done"])

    def file(self, variant: str) -> Path:
        """Where a variant is."""
        return self.folder / f"{variant}.tflite"

    def input(self, variant: str = "int8") -> dict[str, Any]:
        """The input tensor of a variant: dtype, shape, quantization."""
        from ai_edge_litert.interpreter import Interpreter

        (details,) = Interpreter(model_path=str(self.file(variant)), num_threads=1).get_input_details()
        found: dict[str, Any] = details
        return found


def convert(source: Path, folder: Path, representative: Path | None, *variants: str, **order: Any) -> Done:
    """Convert into `folder`; `order` are fields of the child's order, `recipe` those of `input`."""
    recipe = RECIPE | order.pop("recipe", {})
    done = Done(folder)
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    Conversion(
        {
            "source": str(source),
            "form": form_of(source),
            "size": None,
            "input": recipe,
            "representative": None if representative is None else str(representative),
            "samples": 100,
            "io_type": "int8",
            "prove": True,
            "variants": {variant: str(done.file(variant)) for variant in variants},
            "work": str(scratch),
            **order,
        },
        done.hear,
    ).carry_out()
    return done
