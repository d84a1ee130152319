"""Sizes, types, and the table that shows them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from visiond.errors import DataError
from visiond.modelkit.convert.measurement import Measured, gzip_bytes, measured
from visiond.modelkit.convert.table import print_table
from visiond.modelkit.evaluation.measure import Evaluation


def evaluation(variant: str, value: float) -> Evaluation:
    return Evaluation(variant, "top-1", value, value - 0.02, min(1.0, value + 0.01), {}, 450, 0, 1.5, ())


def test_gzip_bytes_are_gzips(tmp_path: Path, root: Path) -> None:
    for content in (b"", b"\0" * 3_000_000, (root / "models" / "shapes" / "shapes.tflite").read_bytes()):
        (tmp_path / "file").write_bytes(content)
        assert gzip_bytes(tmp_path / "file") == pytest.approx(len(gzip.compress(content, 6)), abs=64)


def test_a_real_file(root: Path) -> None:
    row = measured("int8", root / "models" / "shapes" / "shapes.tflite")
    assert (row.input, row.output, row.float_operators) == ("int8", "int8 int8", 0)
    assert row.bytes == (root / "models" / "shapes" / "shapes.tflite").stat().st_size


@pytest.mark.assets
def test_a_file_that_is_not_integer_from_end_to_end(assets: Path) -> None:
    path = assets / "models" / "movenet_single_pose_lightning_ptq.tflite"
    with pytest.raises(DataError, match="its inputs are uint8, its outputs float32"):
        measured("int8", path)
    assert measured("dynamic", path).output == "float32"


def test_the_table_of_a_deployment() -> None:
    rows = [
        Measured(
            "float32", "n_float32.tflite", 12_891_928, 11_930_000, "float32", "float32", 9, evaluation("a", 0.98), 1.0
        ),
        Measured("int8", "n_int8.tflite", 3_231_056, 2_900_000, "int8", "int8", 0, evaluation("b", 0.9767), 0.9956),
    ]
    out = io.StringIO()
    print_table(rows, out)
    head, first, second = out.getvalue().splitlines()
    assert head.split("  ")[0] == "VARIANT"
    assert first.split() == [
        "float32",
        "float32",
        "12.89",
        "MB",
        "11.93",
        "MB",
        "98.00",
        "%",
        "96.0–99.0",
        "%",
        "1.50",
        "ms",
    ]
    assert second.split()[6:] == ["97.67", "%", "95.7–98.7", "%", "-0.33", "points", "99.6", "%", "1.50", "ms"]
    assert max(map(len, out.getvalue().splitlines())) <= 100
