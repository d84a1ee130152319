"""edgetpu_compiler's log: the real one, and what it prints beside its table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.errors import DataError, NoInputError
from visiond.modelkit.compiler_log import MAPPED, CompilerLog, LogRow, find_log, parse_log, read_log
from visiond.modelkit.edgetpu_rules import forecast
from visiond.modelkit.tflite_file import open_model

# What compiler 15 printed of a tiny YOLOv3, as its users have posted it; paths shortened.
PRINTED = """Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 577 ms.

Input model: yolov3-tiny_int8.tflite
Input size: 8.58MiB
Output model: yolov3-tiny_int8_edgetpu.tflite
Output size: 8.70MiB
On-chip memory used for caching model parameters: 3.00KiB
On-chip memory remaining for caching model parameters: 7.67MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 36
Operation log: yolov3-tiny_int8_edgetpu.log

Number of operations that will run on Edge TPU: 2
Number of operations that will run on CPU: 34

Operator                       Count      Status

MAX_POOL_2D                    6          More than one subgraph is not supported
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to some unspecified limitation
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          More than one subgraph is not supported
CONV_2D                        1          Mapped to Edge TPU
CONV_2D                        12         More than one subgraph is not supported
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
LEAKY_RELU                     11         Operation not supported
CONCATENATION                  1          More than one subgraph is not supported
"""  # noqa: E501 - the compiler's own lines


@pytest.mark.assets
def test_the_real_log_is_read(assets: Path) -> None:
    log = read_log(assets / "models" / "yolov8n_full_integer_quant_edgetpu.log")
    assert (log.compiler, log.mapped, log.unmapped) == ("16.0.384591198", 230, 24)
    assert LogRow("CONV_2D", 63, MAPPED) in log.rows
    assert len(log.rows) == 25
    assert all(row.is_mapped or row.remedy for row in log.rows)
    assert log.cached_bytes is None  # only the compiler's output says that


@pytest.mark.assets
def test_the_real_log_is_that_of_both_files_beside_it(assets: Path) -> None:
    models = assets / "models"
    log = read_log(models / "yolov8n_full_integer_quant_edgetpu.log")
    rows: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for row in log.rows:
        rows[row.operator] += row.count
        left[row.operator] += 0 if row.is_mapped else row.count
    with open_model(models / "yolov8n_full_integer_quant.tflite") as model:
        assert Counter(operator.name for operator in model.operators) == rows
        assert len(forecast(model)) == log.mapped + log.unmapped
    with open_model(models / "yolov8n_full_integer_quant_edgetpu.tflite") as model:
        assert Counter(operator.name for operator in model.operators if not operator.is_custom) == +left


def test_what_the_compiler_prints_is_read_with_its_sizes() -> None:
    log = parse_log(PRINTED)
    assert (log.compiler, log.mapped, log.unmapped) == ("15.0.340273435", 2, 34)
    assert (log.cached_bytes, log.free_bytes, log.streamed_bytes) == (3072, int(7.67 * 2**20), 0)
    (leaky,) = (row for row in log.rows if row.operator == "LEAKY_RELU")
    assert (leaky.count, leaky.is_mapped) == (11, False)
    assert all(row.is_mapped or row.remedy for row in log.rows)


def test_of_several_models_the_last_counts() -> None:
    second = "Edge TPU Compiler version 16.0\n\nOperator Count Status\n\nRELU 2 Mapped to Edge TPU\n"
    assert parse_log(PRINTED + second) == CompilerLog("16.0", (LogRow("RELU", 2, MAPPED),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no log of edgetpu_compiler"),
        ("RELU 2 Mapped to Edge TPU", "no log of edgetpu_compiler"),
        ("Edge TPU Compiler version 16.0\nInternal compiler error. Aborting!\n", "no table of operators"),
    ],
)
def test_what_is_no_log_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(DataError, match=words):
        read_log(tmp_path / "log")


def test_a_log_that_is_not_there_or_endless_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="No such file"):
        read_log(tmp_path / "none")
    with pytest.raises(DataError, match="larger than"):
        read_log(Path("/dev/zero"))


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    for content in (text, f"Edge TPU Compiler version 16.0\nOperator Count Status\n{text}"):
        try:
            log = parse_log(content)
        except ValueError:
            continue
        assert all(row.status.isprintable() and row.count >= 0 for row in log.rows)


def test_the_log_is_found_beside_either_file(tmp_path: Path) -> None:
    log = tmp_path / "m_edgetpu.log"
    assert find_log(tmp_path / "m.tflite") is None
    log.write_text(PRINTED)
    assert find_log(tmp_path / "m.tflite") == log
    assert find_log(tmp_path / "m_edgetpu.tflite") == log
    assert find_log(tmp_path / "other.tflite") is None
