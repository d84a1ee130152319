"""`visiond models verify`, as it is typed: it passes what is right, and finds each thing that goes wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgetpu_sim.simulator import Simulator
from modelkit.verify.packages import SMALL, classifier, labelled_folders, photographs
from visiond.cli import main
from visiond.doctor.child import Ended, Message
from visiond.modelkit.evaluation.pictures import open_picture
from visiond.modelkit.package import load_package
from visiond.modelkit.runner import Runner, Variant
from visiond.modelkit.verify import outcome, variant_process

pytestmark = [pytest.mark.assets, pytest.mark.slow, pytest.mark.timeout(300)]  # two cores, and busy ones

GOOD = {"convention": "tensorflow_bilinear", "mean_quanta": 0.5, "min_cosine": 0.95, "min_accuracy": 0.5}


@pytest.fixture(scope="module")
def folders(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_folders(tmp_path_factory.mktemp("dataset") / "folders", assets)


@pytest.fixture(scope="module")
def pictures(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("pictures") / "photographs", assets)


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variants run here, one after another, with the children's own code: where what is judged is the test."""

    def converse(module: str, order: Message, deadline_s: float, hear: Callable[[Message], None]) -> Ended:
        assert (module, deadline_s) == (outcome._MODULE, outcome.DEADLINE_S)
        variant_process.carry_out(json.loads(json.dumps(order)), lambda **told: hear(json.loads(json.dumps(told))))
        return Ended(0, "", silent=False)

    monkeypatch.setattr(outcome, "converse", converse)


def verified(capsys: pytest.CaptureFixture[str], package: Path, *arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    code = main(["models", "verify", str(package), *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def broken(report: dict[str, Any]) -> dict[str, str]:
    """The sentences by tolerance; of several the first."""
    return {each["tolerance"]: each["text"] for each in reversed(report["broken"])}


def test_a_package_as_it_should_be(
    assets: Path, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, GOOD, golden=True)
    code, report = verified(capsys, package, "--dataset", folders, "--sweep", 20)
    assert (code, report["broken"], report["unchecked"]) == (0, [], [])
    names = [each["name"] for each in report["variants"]]
    assert names[:2] == ["cpu litert", "cpu litert no XNNPACK"]
    without = report["variants"][1]
    assert without["outputs"][0]["max_quanta"] == 0, "its kernels are exact, as the reference's are"
    assert (without["golden_passed"], without["golden_failures"]) == (1, [])
    meaning = report["variants"][0]["meaning"]
    assert (meaning["metric"], meaning["pictures"]) == ("top-1", 40)
    assert meaning["value"]["low"] < meaning["value"]["value"] < meaning["value"]["high"]
    own = [row for row in report["sweep"] if row["is_own"]]
    assert [(row["name"], row["points"]) for row in own] == [("stretch bilinear", 0.0)]
    assert {row["resize"] for row in report["sweep"]} >= {"stretch", "letterbox", "center_crop", "shorter_side"}
    assert len({row["interpolation"] for row in report["sweep"]}) == 6
    swapped = next(row for row in report["sweep"] if row["name"].endswith("colours swapped"))
    assert swapped["points"] < -20


@pytest.mark.usefixtures("in_one_process")
def test_another_interpolation_than_the_trainings(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, {"convention": "torchvision_pil_bilinear"}, golden=True)
    code, report = verified(capsys, package)
    assert code == 1
    text = broken(report)["max_input_quanta"]
    assert "quanta from torchvision_pil_bilinear's" in text
    assert text.endswith("give input.interpolation: pil_bilinear, which is off by 0 at most")
    mended = json.loads((package / "model.yaml").read_text())
    mended["input"]["interpolation"] = "pil_bilinear"
    (package / "model.yaml").write_text(json.dumps(mended))
    assert verified(capsys, package)[0] == 0


@pytest.mark.usefixtures("in_one_process")
@pytest.mark.parametrize(
    ("recipe", "offset", "cause"),
    [
        ({"color": "bgr"}, 0, "with 'stretch bilinear, colours swapped' it is "),
        ({"mean": [0.0] * 3, "std": [1.0] * 3}, 0, "with 'stretch bilinear, pixels as "),
        ({"resize": "letterbox", "pad": 0}, 0, "points better: correct input, if the training was so"),
        ({}, 1, "the labels are shifted: with labels.offset: 0 it would be "),
        ({}, -1, "the labels are shifted: with labels.offset: 0 it would be "),
    ],
)
def test_what_a_dataset_shows(
    assets: Path,
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    recipe: dict[str, Any],
    offset: int,
    cause: str,
) -> None:
    package = classifier(tmp_path / "small", assets, {"min_accuracy": 0.5}, recipe, offset)
    code, report = verified(capsys, package, "--dataset", folders, "--sweep", 20)
    assert code == 1
    assert "below 50.0%" in broken(report)["min_accuracy"]
    assert cause in broken(report)["min_accuracy"]


@pytest.mark.usefixtures("in_one_process")
def test_golden_examples_fail_of_a_wrong_recipe_too(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, recipe={"color": "bgr"}, golden=True)
    code, report = verified(capsys, package)
    assert code == 1
    assert "cat.jpg: expected Egyptian cat" in broken(report)["golden"]


@pytest.mark.usefixtures("in_one_process")
def test_a_reference_that_is_no_twin(
    assets: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, {"min_cosine": 0.9, "min_top1_agreement": 0.9}, golden=True)
    other = assets / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    code, report = verified(capsys, package, "--reference", other, "--pictures", pictures)
    assert code == 1
    assert "check that it is the twin of the reference" in broken(report)["min_top1_agreement"]


def test_a_reference_with_other_outputs(root: Path, assets: Path, tmp_path: Path) -> None:
    package = classifier(tmp_path / "small", assets, {"min_cosine": 0.9}, golden=True)
    arguments = ["models", "verify", str(package), "--reference", str(root / "models" / "shapes" / "shapes.tflite")]
    assert main(arguments) == 65


def detector(root: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """The built-in model with tolerances, and with what `changes` replace in its model.yaml."""
    shutil.copytree(root / "models" / "shapes", folder, ignore=shutil.ignore_patterns("*.py"))
    limits = "tolerances: {convention: opencv_bilinear, max_quanta: 12, min_iou: 0.8, min_accuracy: 0.75}\n"
    text = (folder / "model.yaml").read_text() + limits
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "model.yaml").write_text(text)
    return folder


def test_a_detector_with_scenes(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = scenes(tmp_path / "scenes", 30)
    code, report = verified(capsys, detector(root, tmp_path / "shapes"), "--dataset", truth, "--sweep", 0)
    assert (code, report["broken"]) == (0, [])
    meaning = report["variants"][0]["meaning"]
    assert meaning["metric"] == "mAP@0.5:0.95"
    assert meaning["more"]["mAP@0.5"]["value"] > 0.95
    assert report["variants"][0]["findings"]["min_iou"] > 0.9


@pytest.mark.usefixtures("in_one_process")
def test_a_detector_with_the_wrong_range(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = detector(root, tmp_path / "shapes", ("std: [255, 255, 255]", "std: [1, 1, 1]"))
    code, report = verified(capsys, package, "--dataset", scenes(tmp_path / "scenes", 10), "--sweep", 5)
    assert code == 1
    assert "pixels as 0 to 1" in broken(report)["min_accuracy"]


@pytest.mark.usefixtures("in_one_process")
def test_a_detector_whose_labels_are_shifted(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = detector(root, tmp_path / "shapes")
    kept = [line for line in (package / "model.yaml").read_text().splitlines() if "golden" not in line]
    (package / "model.yaml").write_text("\n".join(kept))
    first, *rest = (package / "labels.txt").read_text().split()
    (package / "labels.txt").write_text("\n".join([*rest, first]))
    truth = scenes(tmp_path / "scenes", 20)
    content = json.loads(truth.read_text())
    for each in content["images"]:
        del each["width"], each["height"]  # which a json need not tell
    truth.write_text(json.dumps(content))
    code, report = verified(capsys, package, "--dataset", truth, "--sweep", 0)
    assert code == 1
    assert "the labels are shifted: with labels.offset: -1" in broken(report)["min_accuracy"]


def scenes(folder: Path, count: int) -> Path:
    """COCO json of drawn scenes that the built-in model was not trained on."""
    from visiond.cameras.scenes import still_scene
    from visiond.cameras.solids import LABELS

    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        picture, truth = still_scene(50_000_000 + number, (320, 240))
        cv2.imwrite(str(folder / "images" / f"{number}.png"), picture)
        images.append({"id": number + 1, "file_name": f"{number}.png", "width": 320, "height": 240})
        for each in truth:
            box = each.box
            corner = [box.xmin * 320, box.ymin * 240, (box.xmax - box.xmin) * 320, (box.ymax - box.ymin) * 240]
            label = LABELS.index(each.label) + 1
            annotations.append({"image_id": number + 1, "category_id": label, "bbox": corner})
    categories = [{"id": number + 1, "name": label} for number, label in enumerate(LABELS)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture
def simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(tmp_path / "sticks") as simulator:
        for name, value in simulator.environment().items():
            monkeypatch.setenv(name, value)
        simulator.stick().set_invoke_ms(0)
        yield simulator


def on_stick(simulator: Simulator) -> list[str]:
    place = simulator.config()
    return ["--device", "usb:0", "--library", place["library"], "--sysfs", place["sysfs"], "--dev", place["dev"]]


def test_the_edge_tpu_is_compared_too(
    assets: Path, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference's first class for the one picture on the stick, then another one."""
    package = classifier(
        tmp_path / "small", assets, {"max_quanta": 30, "min_top1_agreement": 1}, edgetpu=True, golden=True
    )
    with Runner(load_package(package), Variant("cpu", package / "cpu.tflite")) as runner:
        cat = runner.run(open_picture(package / "cat.jpg")).outputs[0].argmax()
    outputs = np.zeros(1001, np.uint8)
    outputs[cat] = 40
    simulator.stick().output_set({"MobilenetV1/Predictions/Reshape_1": outputs.tobytes()})
    _, report = verified(capsys, package, *on_stick(simulator))
    stick = report["variants"][-1]
    assert (stick["name"], stick["engine"]) == ("edgetpu usb:0", "edgetpu")
    assert stick["findings"]["top1"] == 1.0
    assert "min_top1_agreement" not in broken(report)
    outputs[:] = 0
    outputs[7] = 255
    simulator.stick().output_set({"MobilenetV1/Predictions/Reshape_1": outputs.tobytes()})
    code, report = verified(capsys, package, *on_stick(simulator))
    assert code == 1
    assert "edgetpu usb:0: the reference's first class in 0.0%" in broken(report)["min_top1_agreement"]
    assert "edgetpu usb:0, output" in broken(report)["max_quanta"]


@pytest.mark.parametrize(("fault", "words"), [("abort", "died of SIGABRT"), ("segv", "died of SIGSEGV")])
def test_a_variant_that_dies_is_a_sentence_and_the_others_are_told(
    assets: Path, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    package = classifier(tmp_path / "small", assets, edgetpu=True, golden=True)
    simulator.stick().fail(fault)
    code, report = verified(capsys, package, *on_stick(simulator))
    assert code == 1
    assert words in broken(report)["runs"]
    assert report["variants"][0]["outputs"], "the CPU's are there"


def test_a_stick_that_is_not_there(assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = classifier(tmp_path / "small", assets, edgetpu=True)
    assert main(["models", "verify", str(package), "--device", "usb:3"]) == 69
    assert "no such Edge TPU is plugged in" in capsys.readouterr().err


def test_a_child_that_hangs_is_ended(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hanging.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(outcome, "_MODULE", "hanging")
    monkeypatch.setattr(outcome.run_variant, "__defaults__", (1.0,))
    package = classifier(tmp_path / "small", assets)
    assert main(["models", "verify", str(package)]) == 70
    assert "said nothing more and was killed" in capsys.readouterr().err


def test_the_page_holds_everything_itself(
    assets: Path, folders: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, {"min_accuracy": 0.99}, golden=True)
    page = tmp_path / "report.html"
    arguments = ["--dataset", folders, "--sweep", "8", "--pictures", pictures, "--html", page]
    assert main(["models", "verify", str(package), *map(str, arguments)]) == 1
    out = capsys.readouterr().out
    text = page.read_text()
    addresses = re.findall(r'(?:src|href)="([^"]*)', text) + re.findall(r"url\(([^)]*)\)", text)
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)
    assert not re.findall(r"https?://", text)
    assert "<script" not in text
    assert text.count("<svg") >= 4
    for words in ("min_accuracy", "Preprocessing", "colours swapped", "Wrong: ", "prefers-color-scheme: dark"):
        assert words in text, words
    assert "broken: min_accuracy" in out
    tables = [line for line in out.splitlines() if not line.startswith(("broken", "note", "tolerances"))]
    assert max(map(len, tables)) <= 100
    assert list(tmp_path.glob(".report*")) == []


def test_what_is_recorded_is_reproduced(
    assets: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets)
    manifest = (package / "model.yaml").read_text()
    assert main(["models", "verify", str(package), "--pictures", str(pictures), "--record", "2"]) == 0
    assert capsys.readouterr().err.count("recorded ") == 2
    loaded = load_package(package)
    assert [example.image for example in loaded.golden] == sorted(path.name for path in package.glob("golden-*"))
    kept = iter((package / "model.yaml").read_text())
    assert all(character in kept for character in manifest), "only added to"
    code, report = verified(capsys, package)
    assert code == 0
    assert {each["golden_passed"] for each in report["variants"]} == {2}


def test_what_is_recorded_is_of_several_classes(
    assets: Path, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every folder has pictures of the same names, 0.png and so on."""
    package = classifier(tmp_path / "small", assets)
    arguments = ["--pictures", str(folders), "--record", "3"]
    assert main(["models", "verify", str(package), *arguments]) == 0
    capsys.readouterr()
    golden = load_package(package).golden
    assert len({example.expect[0].label for example in golden}) == 3
    assert len({example.image for example in golden}) == 3
    assert verified(capsys, package)[0] == 0


def test_a_golden_picture_that_is_missing_is_told_at_its_line(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, golden=True)
    (package / "cat.jpg").unlink()
    assert main(["models", "verify", str(package)]) == 78
    err = capsys.readouterr().err
    assert re.search(r"model\.yaml:1:\d+: golden\[0\]\.image: .*cat\.jpg does not exist; check the path", err)


@pytest.mark.usefixtures("in_one_process")
def test_a_reference_that_is_the_same_file_is_said_to_compare_nothing(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets)
    code, report = verified(capsys, package, "--reference", package / "cpu.tflite")
    assert code == 0
    assert [each["name"] for each in report["variants"] if each["is_reference"]] == ["cpu litert no XNNPACK"]
    (note,) = [note for note in report["unchecked"] if "is the reference itself" in note]
    assert note.startswith("cpu litert no XNNPACK is the reference itself (cpu.tflite on the same runtime)")


@pytest.mark.usefixtures("in_one_process")
def test_nothing_is_recorded_of_what_is_broken(
    assets: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = classifier(tmp_path / "small", assets, {"convention": "torchvision_pil_bilinear"})
    before = {path.name: path.read_bytes() for path in package.iterdir()}
    assert main(["models", "verify", str(package), "--pictures", str(pictures), "--record"]) == 1
    assert "nothing is recorded while something is broken" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before


def test_what_cannot_be_used_is_a_sentence(assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = classifier(tmp_path / "small", assets)
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = tmp_path / "bad"
    (bad / "daisy").mkdir(parents=True)
    (bad / "daisy" / "a.jpg").write_bytes(b"no picture")
    (bad / "daisy" / "b.jpg").write_bytes(b"nor this one")
    keras = tmp_path / "forms.keras"
    keras.write_bytes(b"PK\x03\x04\x14\x00\x00\x00")
    cases: list[tuple[list[object], int, str]] = [
        (["--pictures", empty], 65, "holds no picture"),
        (["--pictures", tmp_path / "none"], 66, "is no folder"),
        (["--pictures", bad / "daisy"], 65, "a.jpg is no picture that can be used"),
        (["--dataset", bad], 65, "a.jpg is no picture that can be used (unreadable), {bad}/daisy/b.jpg is no picture"),
        (["--dataset", empty], 65, "holds no labelled picture"),
        (["--reference", tmp_path / "none.tflite"], 66, "does not exist"),
        (["--reference", assets / "models" / "imagenet_labels.txt"], 65, "is no TFLite model"),
        (["--reference", keras], 65, "the float .tflite or .onnx: {keras} is a zip archive (a .keras file, perhaps)"),
        (["--most", 0], 64, "give 1 or more"),
        (["--record"], 64, "--record takes its golden examples from --pictures"),
        (["--html", tmp_path], 64, "is a folder"),
        (["--html", tmp_path / "none" / "report.html"], 69, "cannot be written"),
    ]
    for arguments, code, words in cases:
        assert main(["models", "verify", str(package), *map(str, arguments)]) == code, arguments
        err = capsys.readouterr().err
        assert words.format(bad=bad, keras=keras) in err
        assert "running" not in err, "told before anything runs"
    (package / "cpu.tflite").unlink()
    (package / "cpu.tflite").write_bytes((assets / "models" / f"{SMALL}.tflite").read_bytes()[:5000])
    assert main(["models", "verify", str(package)]) == 65
    assert "cpu.tflite" in capsys.readouterr().err
