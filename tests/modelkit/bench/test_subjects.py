"""What there is to be measured: files, runtimes, cores, and the stick."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visiond.errors import VisiondError
from visiond.modelkit.bench import subjects as bench_subjects
from visiond.modelkit.bench.report import Subject
from visiond.modelkit.bench.subjects import Wish, choose_subjects, default_threads
from visiond.modelkit.package import Package, load_package


@pytest.fixture
def package(root: Path) -> Package:
    return load_package(root / "models" / "shapes")


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed here, LiteRT and tflite-runtime are."""
    names = ("ai_edge_litert", "tflite_runtime")
    monkeypatch.setattr(bench_subjects, "find_spec", lambda name: object() if name in names else None)


@pytest.mark.parametrize(("cpus", "threads"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4)), (6, (1, 2, 4, 6))])
def test_threads_are_doubled_up_to_the_cores(cpus: int, threads: tuple[int, ...]) -> None:
    assert default_threads(cpus) == threads


def test_unasked_it_is_all_that_is_here(package: Package) -> None:
    found, stick = choose_subjects(package, Wish())
    assert stick is None
    assert len(found) == len(set(found)) == 2 * 2 * len(default_threads(os.cpu_count() or 1))
    assert {each.kernels for each in found} == {"xnnpack", "builtin"}
    assert {each.runtime for each in found} == {"litert", "tflite-runtime"}


def test_a_wish_narrows_it(package: Package) -> None:
    found, _ = choose_subjects(package, Wish(("litert",), (3,), ("none",)))
    assert found == (Subject("cpu", "litert", 3, "builtin", None),)


@pytest.mark.parametrize(
    ("wish", "words", "code"),
    [
        (Wish(runtimes=("tensorflow",)), "--runtime tensorflow: there is no such one; give one or more of litert", 64),
        (Wish(delegates=("gpu",)), "--delegate gpu: there is no such one", 64),
        (Wish(threads=(0,)), "--threads 0: give numbers from 1 to 64", 64),
        (Wish(threads=(1, 65)), "--threads 1,65: give numbers", 64),
        (Wish(runtimes=("onnx",)), "--runtime onnx: is not installed here; installed: litert, tflite-runtime", 69),
        (Wish(device="usb:0"), "shapes has no files.edgetpu", 69),
        (
            Wish(delegates=("edgetpu",)),
            "--delegate edgetpu: shapes has no files.edgetpu; add it, or leave edgetpu",
            69,
        ),
        (Wish(delegates=("xnnpack",), device="usb:0"), "--device usb:0: --delegate leaves the Edge TPU out", 64),
    ],
)
def test_a_wish_that_cannot_be_met_is_a_sentence(package: Package, wish: Wish, words: str, code: int) -> None:
    with pytest.raises(VisiondError) as caught:
        choose_subjects(package, wish)
    assert words in str(caught.value)
    assert caught.value.exit_code == code


def test_nothing_to_measure_is_a_sentence_with_what_there_is(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_subjects, "find_spec", lambda name: object() if name == "onnxruntime" else None)
    for wish, which in ((Wish(), "onnx"), (Wish(runtimes=("onnx",)), "onnx by --runtime")):
        with pytest.raises(VisiondError, match=rf"it has files\.cpu, the runtimes here are {which}, and no Edge TPU"):
            choose_subjects(package, wish)
