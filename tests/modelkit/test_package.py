"""model.yaml and the folder around it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visiond.errors import ConfigError
from visiond.modelkit.package import Package, load_package

MODEL = b"\x1c\0\0\0TFL3 a model"
SHA256 = hashlib.sha256(MODEL).hexdigest()
MANIFEST = """\
name: coco_ssd_mobilenet_v1
task: detection
files:
  cpu:     {path: detect.tflite, sha256: SHA256}
  edgetpu: {path: detect_edgetpu.tflite}
labels: {path: labels.txt, offset: 1}
input:
  resize: stretch
  interpolation: bilinear
  color: rgb
  mean: [127.5, 127.5, 127.5]
  std:  [127.5, 127.5, 127.5]
output:
  decoder: ssd_postprocess
  roles: {boxes: 0, classes: 1, scores: 2, count: 3}
golden:
  - {image: cat.jpg, expect: [{label: cat, min_score: 0.6, box: [0.13, 0.07, 0.98, 0.72], iou: 0.8}]}
license: Apache-2.0
source: https://example.org/model
""".replace("SHA256", SHA256)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a complete package, with replacements in its model.yaml, and returns the folder."""

    def write(*replacements: tuple[str, str]) -> Path:
        text = MANIFEST
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "model.yaml").write_text(text)
        (tmp_path / "detect.tflite").write_bytes(MODEL)
        (tmp_path / "detect_edgetpu.tflite").write_bytes(MODEL + b"edgetpu-custom-op")
        (tmp_path / "labels.txt").write_text("???\nperson\ncat\n")
        return tmp_path

    return write


def problems(folder: Path) -> list[str]:
    """What is wrong, without the file's name."""
    with pytest.raises(ConfigError) as refused:
        load_package(folder).verify_files()
    prefix = f"{folder / 'model.yaml'}:"
    lines = str(refused.value).split("\n")
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def place(folder: Path, text: str) -> str:
    """Line and column of the first time that `text` stands in model.yaml."""
    before = (folder / "model.yaml").read_text().partition(text)[0]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def test_a_package_as_it_is_documented(write: Write) -> None:
    folder = write()
    package = load_package(folder)
    package.verify_files()
    assert package.folder == folder
    assert package.file("cpu") == folder / "detect.tflite"
    assert package.input.mean == (127.5, 127.5, 127.5)
    assert (package.input.pad, package.input.channels, package.output.activation) == (114, 3, "none")
    assert package.output.roles == {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
    assert package.golden[0].expect[0].box == (0.13, 0.07, 0.98, 0.72)
    assert package.load_labels().name(1) == "cat"
    assert package.hello() == {"task": "detection", "sha256": SHA256, "labels": ["person", "cat"]}


def test_nothing_changes_after_reading(write: Write) -> None:
    package = load_package(write())
    with pytest.raises(ValueError, match="frozen"):
        package.name = "another"  # type: ignore[misc]


def test_what_may_be_left_out(write: Write) -> None:
    folder = write()
    (folder / "model.yaml").write_text(
        "name: digits\ntask: classification\nfiles: {cpu: {path: detect.tflite}}\n"
        "input: {color: gray, mean: [0], std: [255]}\noutput: {decoder: scores}\n"
    )
    package = load_package(folder)
    assert (package.input.resize, package.input.interpolation) == ("stretch", "bilinear")
    assert package.load_labels().names == ()
    assert package.hello()["sha256"] == SHA256  # computed where it is not given


def test_a_file_for_an_engine_that_is_not_given_is_named(write: Write) -> None:
    folder = write()
    with pytest.raises(ConfigError) as refused:
        load_package(folder).file("onnx")
    assert str(refused.value) == f"{folder}/model.yaml:3:1: files.onnx: is not given; add the file for this engine"


def test_a_package_for_the_edge_tpu_alone_is_read_and_says_so_when_the_cpu_is_asked_for(write: Write) -> None:
    folder = write((f"  cpu:     {{path: detect.tflite, sha256: {SHA256}}}\n", ""))
    package = load_package(folder)
    package.verify_files()
    with pytest.raises(ConfigError, match=r"files.cpu: is not given; add the file for this engine"):
        package.file("cpu")


CPU_LINE = f"  cpu:     {{path: detect.tflite, sha256: {SHA256}}}\n"
TPU_LINE = "  edgetpu: {path: detect_edgetpu.tflite}\n"
ONNX_LINE = "  onnx: {path: detect.onnx}\n"


@pytest.mark.parametrize(
    ("lines", "runtime", "expected"),
    [
        (CPU_LINE, "auto", "cpu"),
        (CPU_LINE + TPU_LINE, "litert", "cpu"),
        (CPU_LINE + ONNX_LINE, "auto", "cpu"),
        (CPU_LINE + ONNX_LINE, "onnx", "onnx"),
        (TPU_LINE + ONNX_LINE, "auto", "onnx"),
        (TPU_LINE + ONNX_LINE, "tflite-runtime", None),
        (CPU_LINE, "onnx", None),
        (TPU_LINE, "auto", None),
    ],
)
def test_which_file_the_cpu_runs(write: Write, lines: str, runtime: str, expected: str | None) -> None:
    package = load_package(write((CPU_LINE + TPU_LINE, lines)))
    assert package.cpu_file(runtime) == expected


@pytest.mark.parametrize(
    ("lines", "accelerator", "runtime", "expected"),
    [
        (CPU_LINE + TPU_LINE, "prefer", "auto", None),
        (CPU_LINE + TPU_LINE, "required", "auto", None),
        (CPU_LINE + TPU_LINE, "never", "auto", None),
        (CPU_LINE, "prefer", "auto", None),  # it runs on the CPU, and status says so
        (CPU_LINE, "never", "auto", None),
        (TPU_LINE, "required", "auto", None),
        (TPU_LINE + ONNX_LINE, "prefer", "auto", None),
        (ONNX_LINE, "never", "onnx", None),
        (
            CPU_LINE,
            "required",
            "auto",
            "3:1: files.edgetpu: is not given, and accelerator: required needs it; add the file of edgetpu_compiler, "
            "or give prefer",
        ),
        (
            TPU_LINE,
            "prefer",
            "auto",
            "3:1: files.cpu: is not given, and accelerator: prefer runs it when the Edge TPU fails; add the model that "
            "files.edgetpu was compiled from, or give accelerator: required",
        ),
        (
            TPU_LINE,
            "never",
            "auto",
            "3:1: files.cpu: is not given, and accelerator: never with runtime: auto needs it; add the file",
        ),
        (
            CPU_LINE,
            "never",
            "onnx",
            "3:1: files.onnx: is not given, and runtime: onnx needs it; add the file, or give runtime: auto",
        ),
        (
            ONNX_LINE,
            "never",
            "litert",
            "3:1: files.cpu: is not given, and accelerator: never with runtime: litert needs it; add the file",
        ),
    ],
)
def test_a_file_that_the_policy_needs_is_named_at_the_start(
    write: Write, lines: str, accelerator: str, runtime: str, expected: str | None
) -> None:
    folder = write((CPU_LINE + TPU_LINE, lines))
    missing = load_package(folder).missing_files(accelerator, runtime)
    assert missing == (None if expected is None else f"{folder / 'model.yaml'}:{expected}")


def test_fault_25_both_twins_are_checked_at_the_start_whatever_the_policy(write: Write) -> None:
    folder = write()
    (folder / "detect_edgetpu.tflite").write_bytes(b"")
    assert problems(folder) == [
        f"5:19: files.edgetpu.path: {folder}/detect_edgetpu.tflite is empty; copy the file again"
    ]


def test_every_error_at_once_each_at_its_place(write: Write) -> None:
    folder = write(
        ("task: detection", "task: detect"),
        ("resize: stretch", "resize: strech"),
        ("std:  [127.5, 127.5", "std:  [0, true"),
        ("path: labels.txt", "path: ../labels.txt"),
        ("license:", "licence:"),
        ("min_score: 0.6", "min_score: 60"),
    )
    found = problems(folder)
    assert [line.split(": ")[0:2] for line in found] == [
        [place(folder, "detect\n"), "task"],
        [place(folder, "../labels"), "labels.path"],
        [place(folder, "strech"), "input.resize"],
        [place(folder, "0, true"), "input.std[0]"],
        [place(folder, "true"), "input.std[1]"],
        [place(folder, "60"), "golden[0].expect[0].min_score"],
        [place(folder, "licence"), "licence"],
    ]
    assert "did you mean license?" in found[-1]


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        (
            "mean: [127.5, 127.5, 127.5]",
            "mean: [127.5]",
            "[127.5]",
            "input.mean: needs 3 numbers with color: rgb, one per channel, not 1",
        ),
        (
            "color: rgb",
            "color: gray",
            "[127.5",
            "input.mean: needs 1 numbers with color: gray, one per channel, not 3",
        ),
        (
            "resize: stretch",
            "resize: stretch\n  shorter_side: 256",
            "256\n",
            "input.shorter_side: has no meaning with resize: stretch; remove it, or give resize: shorter_side",
        ),
        (
            "decoder: ssd_postprocess",
            "decoder: movenet",
            "movenet",
            "output.decoder: movenet does not fit task: detection; it takes ssd_postprocess, ssd_raw, yolov5, yolov8",
        ),
        (
            "scores: 2, count: 3}",
            "scores: 1, count: 3}",
            "{boxes: 0",
            "output.roles: gives output 1 to classes and scores; each needs one of its own",
        ),
        (
            "label: cat",
            "label: cta",
            "cta",
            "golden[0].expect[0].label: 'cta' is none of the labels; correct it, or the label file",
        ),
        ("path: detect.tflite", "path: /etc/passwd", "/etc", "files.cpu.path: is outside the package's folder"),
        ("path: detect.tflite", "path: a/../../b", "a/..", "files.cpu.path: is outside the package's folder"),
        ("image: cat.jpg", "image: ../cat.jpg", "../cat", "golden[0].image: is outside the package's folder"),
        ("[0.13, 0.07, 0.98,", "[0.98, 0.07, 0.13,", "[0.98", "golden[0].expect[0].box: is no box, give [ymin, xmin"),
        ("[0.13, 0.07, 0.98,", "[13, 7, 98,", "[13", "golden[0].expect[0].box: is no box, give [ymin, xmin"),
        (
            MANIFEST[MANIFEST.index("[{") : MANIFEST.index("}\nlicense")],
            "[]",
            "[]",
            "golden[0].expect: is empty, give at",
        ),
        ("name: coco", "name: ../coco", "../coco", 'name: "../coco_ssd_mobilenet_v1" is not possible, give at most 64'),
    ],
)
def test_contradictions_are_told_at_their_place(write: Write, old: str, new: str, where: str, problem: str) -> None:
    folder = write((old, new))
    assert any(line.startswith(f"{place(folder, where)}: {problem}") for line in problems(folder))


@pytest.mark.parametrize(
    ("decoder", "key", "fitting"),
    [
        ("ssd_postprocess", "anchors: {layers: 5}", "ssd_raw"),
        ("ssd_postprocess", "box_scales: [10, 10, 5, 5]", "ssd_raw"),
        ("ssd_postprocess", "background: false", "deeplab, ssd_raw"),
        ("yolov8", "keypoints: [nose]", "movenet, posenet"),
    ],
)
def test_a_key_of_another_decoder_is_told(write: Write, decoder: str, key: str, fitting: str) -> None:
    folder = write(("decoder: ssd_postprocess\n", f"decoder: {decoder}\n  {key}\n"))
    (line,) = problems(folder)
    name = key.split(":")[0]
    assert line.endswith(f"output.{name}: has no meaning with decoder: {decoder}; remove it (it is for {fitting})")


def test_anchors_and_what_goes_with_them(write: Write) -> None:
    folder = write(
        (
            "decoder: ssd_postprocess\n  roles: {boxes: 0, classes: 1, scores: 2, count: 3}",
            "decoder: ssd_raw\n  anchors: {generator: multiscale, aspect_ratios: [1, 2], scales_per_octave: 3}\n"
            "  box_scales: [1, 1, 1, 1]\n  background: false",
        )
    )
    output = load_package(folder).output
    assert (output.anchors.generator, output.anchors.aspect_ratios, output.anchors.layers) == (
        "multiscale",
        (1, 2),
        None,
    )
    assert (output.box_scales, output.background) == ((1, 1, 1, 1), False)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("anchors: {aspect_ratios: []}", "output.anchors.aspect_ratios: is empty, give at least one"),
        ("anchors: {min_scale: 0}", "output.anchors.min_scale:"),
        ("box_scales: [10, 10, 5]", "output.box_scales"),
        ("background: 1", "output.background:"),
    ],
)
def test_keys_of_ssd_raw_are_read_strictly(write: Write, key: str, problem: str) -> None:
    folder = write(
        (
            "decoder: ssd_postprocess\n  roles: {boxes: 0, classes: 1, scores: 2, count: 3}",
            f"decoder: ssd_raw\n  {key}",
        )
    )
    assert any(problem in line for line in problems(folder))


@pytest.mark.parametrize(
    ("task", "decoder", "expected", "key"),
    [
        ("segmentation", "deeplab", "min_score: 0.5", "min_score"),
        ("segmentation", "deeplab", "keypoints: {nose: [0.1, 0.2]}", "keypoints"),
        ("detection", "yolov8", "min_score: 0.5, mask: mask.png", "mask"),
        ("pose", "movenet", "min_score: 0.5, mask: mask.png", "mask"),
        ("classification", "scores", "min_score: 0.5, within: 0.1", "within"),
    ],
)
def test_an_expectation_of_another_task_is_told(write: Write, task: str, decoder: str, expected: str, key: str) -> None:
    folder = write(
        ("task: detection", f"task: {task}"),
        ("decoder: ssd_postprocess\n  roles: {boxes: 0, classes: 1, scores: 2, count: 3}", f"decoder: {decoder}"),
        ("min_score: 0.6, box: [0.13, 0.07, 0.98, 0.72], iou: 0.8", expected),
    )
    (line,) = problems(folder)
    assert line.endswith(f"golden[0].expect[0].{key}: has no meaning with task: {task}; remove it")


def test_a_golden_example_of_objects_needs_a_score(write: Write) -> None:
    folder = write(("min_score: 0.6, ", ""))
    (line,) = problems(folder)
    assert line.endswith("golden[0].expect[0].min_score: is not given; add the least score, 0 to 1")


def test_a_golden_mask_that_is_not_there_is_told(write: Write) -> None:
    folder = write(
        ("task: detection", "task: segmentation"),
        ("decoder: ssd_postprocess\n  roles: {boxes: 0, classes: 1, scores: 2, count: 3}", "decoder: deeplab"),
        ("min_score: 0.6, box: [0.13, 0.07, 0.98, 0.72]", "mask: mask.png"),
    )
    (folder / "cat.jpg").write_bytes(b"a picture")
    (line,) = load_package(folder).golden_problems()
    assert "golden[0].expect[0].mask: " in line
    assert line.endswith("mask.png does not exist; check the path, or copy the file there")


def test_golden_boxes_belong_to_detections(write: Write) -> None:
    folder = write(
        ("task: detection", "task: classification"),
        ("decoder: ssd_postprocess", "decoder: scores"),
        ("  roles: {boxes: 0, classes: 1, scores: 2, count: 3}\n", ""),
    )
    assert problems(folder) == [
        f"{place(folder, '[0.13')}: golden[0].expect[0].box: has no meaning with task: classification; remove it",
    ]


def test_fault_30_a_label_file_that_cannot_be_used_is_told_with_its_line(write: Write) -> None:
    folder = write()
    (folder / "labels.txt").write_bytes(b"person\nc\xe4t\n")
    assert problems(folder) == [
        f"6:16: labels.path: {folder}/labels.txt cannot be used: line 2 is not UTF-8; save the file as UTF-8"
    ]
    (folder / "labels.txt").unlink()
    assert problems(folder)[0].endswith("labels.txt does not exist; check the path, or copy the file there")


@pytest.mark.parametrize("content", [None, "a file"])
def test_fault_25_no_package_at_all(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "package"
    if content is not None:
        folder.write_text(content)
    with pytest.raises(ConfigError, match=r"a model package is a folder with a model.yaml"):
        load_package(folder)


def test_fault_25_a_model_that_is_missing(write: Write) -> None:
    folder = write()
    (folder / "detect.tflite").unlink()
    (folder / "detect_edgetpu.tflite").unlink()
    remedy = "does not exist; check the path, or copy the file there"
    assert problems(folder) == [
        f"4:19: files.cpu.path: {folder}/detect.tflite {remedy}",
        f"5:19: files.edgetpu.path: {folder}/detect_edgetpu.tflite {remedy}",
    ]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (Path.mkdir, "is a directory; name the file in it"),
        (os.mkfifo, "is not a regular file; put the file itself there"),
        (Path.touch, "is empty; copy the file again"),
        (lambda path: path.symlink_to(path), "cannot be reached: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("gone"), "does not exist; check the path, or copy the file there"),
    ],
)
def test_fault_25_a_model_that_is_no_file(write: Write, make: Callable[[Path], None], problem: str) -> None:
    folder = write()
    model = folder / "detect.tflite"
    model.unlink()
    make(model)
    assert problems(folder) == [f"4:19: files.cpu.path: {model} {problem}"]


@pytest.mark.parametrize("name", ["model.yaml", "detect.tflite"])
def test_fault_25_a_file_instead_of_the_folder(write: Write, name: str) -> None:
    file = write() / name
    with pytest.raises(ConfigError) as error:
        load_package(file)
    remedy = "give the folder that it lies in; a model package is a folder with a model.yaml"
    assert str(error.value) == f"{file} is a file; {remedy}"


def test_fault_25_a_model_that_may_not_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write()
    model = folder / "detect.tflite"
    allowed = os.access
    # root may read everything, so the system's answer is given here
    monkeypatch.setattr(os, "access", lambda path, mode: path != model and allowed(path, mode))
    assert problems(folder) == [
        f"4:19: files.cpu.path: {model} cannot be read by this user; give it read permission (chmod a+r)"
    ]


def test_fault_26_a_checksum_that_differs_is_told_with_both(write: Write) -> None:
    folder = write()
    (folder / "detect.tflite").write_bytes(MODEL[:-1])
    actual = hashlib.sha256(MODEL[:-1]).hexdigest()
    assert problems(folder) == [
        f"4:42: files.cpu.sha256: {folder}/detect.tflite has the checksum {actual}, expected {SHA256}; "
        "copy the file again, or correct it"
    ]


def test_a_checksum_in_capitals_is_the_same(write: Write) -> None:
    load_package(write((SHA256, f"'{SHA256.upper()}'"))).verify_files()


def test_fault_27_a_model_compiled_for_the_edge_tpu_as_the_cpus(write: Write) -> None:
    folder = write((f", sha256: {SHA256}", ""))
    (folder / "detect.tflite").write_bytes((folder / "detect_edgetpu.tflite").read_bytes())
    assert problems(folder) == [
        f"4:19: files.cpu.path: {folder}/detect.tflite is compiled for the Edge TPU; "
        "give files.cpu the model that it was compiled from"
    ]


@pytest.mark.assets
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "yolov8n_full_integer_quant"])
def test_fault_27_real_twins_are_told_apart(write: Write, assets: Path, name: str) -> None:
    folder = write((f", sha256: {SHA256}", ""))
    model = folder / "detect.tflite"
    model.unlink()
    model.symlink_to(assets / "models" / f"{name}.tflite")
    load_package(folder).verify_files()
    model.unlink()
    model.symlink_to(assets / "models" / f"{name}_edgetpu.tflite")
    assert "is compiled for the Edge TPU; give files.cpu" in problems(folder)[0]


def test_reading_a_package_loads_no_native_library(write: Write, root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from visiond.modelkit.package import load_package\n"
        f"load_package(Path({str(write())!r})).hello()\n"
        "sys.exit(', '.join({'numpy', 'cv2', 'ai_edge_litert', 'PIL'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "daemon")}).returncode == 0


def test_every_key_is_described() -> None:
    schema = Package.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for key, field in section["properties"].items():
            assert field.get("description"), f"{section['title']}.{key}"
