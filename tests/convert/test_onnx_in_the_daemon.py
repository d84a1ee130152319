"""A PyTorch CNN, exported to ONNX, in the running daemon: the answers on its socket are PyTorch's.

PyTorch sees each picture as torchvision prepares it with Pillow, the daemon as the package's recipe says: that both
give the same is the proof of the recipe too. One daemon serves every form of the network.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from digits_cnn import RECIPE, SIDE, Digits, prepared, trained
from harness import Daemon
from visiond.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # training, exporting and converting on a busy machine

PICTURES = 24
WITHIN = 1e-4
SIZE = {"size": [SIDE, SIDE]}


class Prepared(CalibrationDataReader):
    """The pictures of a calibration, one by one."""

    def __init__(self, digits: Digits) -> None:
        self._left = iter(digits.pictures[PICTURES:][:100])

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._left, None)
        return None if picture is None else {"images": prepared(picture)[None].numpy()}


class ChannelsLast(torch.nn.Module):
    """The network with another order of its input's axes."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def digits() -> Digits:
    return trained()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short: a Unix socket's path has at most 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


def package(folder: Path, **recipe: Any) -> Path:
    """Where the model goes; `recipe` is what is not as for all of them."""
    folder.mkdir()
    (folder / "labels.txt").write_text("".join(f"{number}\n" for number in range(10)))
    manifest = {
        "name": folder.name,
        "task": "classification",
        "files": {"onnx": {"path": "model.onnx"}},
        "labels": {"path": "labels.txt"},
        "input": {**RECIPE, **recipe},
        "output": {"decoder": "scores", "activation": "softmax"},
    }
    (folder / "model.yaml").write_text(json.dumps(manifest))
    return folder / "model.onnx"


def export_as_the_document_says(network: torch.nn.Module, path: Path, root: Path) -> None:
    """Run the very lines of docs/models.md, for another size and place."""
    section = (root / "docs" / "models.md").read_text().split("\n## ONNX\n")[1]
    (code,) = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    code = code.replace("224, 224", f"{SIDE}, {SIDE}").replace('"model.onnx"', "path")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        exec(code, {"network": network, "path": path})


def export(network: torch.nn.Module, example: torch.Tensor, path: Path, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            network,
            (example,),
            path,
            input_names=["images"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
            **options,
        )


@pytest.fixture(scope="module")
def packages(digits: Digits, folder: Path, root: Path) -> dict[str, Path]:
    """The same network in every form that its file may have."""
    made = {name: package(folder / name) for name in ("fixed", "quantized")}
    made |= {name: package(folder / name, **SIZE) for name in ("open", "half", "last")}
    picture = torch.zeros(1, 3, SIDE, SIDE)
    export_as_the_document_says(digits.network, made["fixed"], root)
    axes = ({0: "batch", 2: "height", 3: "width"},)
    export(digits.network, picture.repeat(2, 1, 1, 1), made["open"], dynamic_shapes=axes)
    quantize_static(made["fixed"], made["quantized"], Prepared(digits), QuantFormat.QDQ, weight_type=QuantType.QInt8)

    # By the older exporter, which takes a tenth of the time.
    export(ChannelsLast(digits.network).eval(), picture.permute(0, 2, 3, 1), made["last"], dynamo=False)
    export(trained_again(digits).half(), picture.half(), made["half"], dynamo=False)
    made["twin"] = converted(digits, made["fixed"], folder)
    return made


def converted(digits: Digits, source: Path, folder: Path) -> Path:
    """The int8 TFLite model that `visiond models convert` makes of the ONNX file, with pictures of its own."""
    rest = folder / "representative"
    rest.mkdir()
    for number, picture in enumerate(digits.pictures[PICTURES:][:100]):
        picture.save(rest / f"{number:03}.png")
    recipe, name = str(source.with_name("model.yaml")), "twin"
    options = ["--representative", str(rest), "--variants", "int8", "--recipe", recipe, "--name", name]
    assert main(["models", "convert", str(source), "--to", str(folder), *options]) == 0
    (path,) = (folder / name).glob("*.tflite")
    return path


def trained_again(digits: Digits) -> torch.nn.Module:
    """A copy: half() changes a network in place."""
    copy = type(digits.network)()
    copy.load_state_dict(digits.network.state_dict())
    return copy.eval()


@pytest.fixture(scope="module")
def answers(digits: Digits, packages: dict[str, Path], folder: Path, root: Path) -> dict[str, list[dict[str, float]]]:
    """What the daemon says of each picture, by form: label → score of the best five, best first."""
    paths = digits.write_pictures(folder / "pictures", PICTURES)
    settings = {"accelerator": "never", "threads": 1, "min_score": 0.0}
    camera = {"source": f"images:{paths[0].parent}?loop=1", "fps": 10, "max_age_ms": 30000}
    config = {
        "cameras": {name: {**camera, "model": name} for name in packages},
        "models": {name: {"package": str(path.parent), **settings} for name, path in packages.items()},
    }
    (folder / "visiond.yaml").write_text(json.dumps(config))
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in packages}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root / "daemon"))
        daemon = Daemon(folder / "visiond.yaml", folder / "v.sock")
    try:
        with daemon.client() as client:
            status = client.status(lambda message: all(e["runtime"] for e in message["engines"].values()))
            runtimes = {name: engine["runtime"].split(" 1.")[0] for name, engine in status["engines"].items()}
            assert runtimes.pop("twin").startswith("LiteRT ")
            assert set(runtimes.values()) == {"ONNX Runtime"}
            while any(len(seen) < PICTURES for seen in found.values()):
                (message,) = client.detections(1)
                number = (message["frame"] - 1) % PICTURES
                found[message["camera"]][number] = {each["label"]: each["score"] for each in message["classes"]}
    except BaseException:
        print(daemon.log)
        raise
    finally:
        daemon.stop()
    return {name: [seen[number] for number in range(PICTURES)] for name, seen in found.items()}


def best_five(probabilities: np.ndarray) -> list[str]:
    return [str(index) for index in np.argsort(-probabilities)[:5]]


def test_the_network_reads_digits(digits: Digits) -> None:
    """Or agreement would mean little."""
    right = [int(digits.probabilities(p).argmax()) == n for p, n in zip(digits.pictures, digits.numbers, strict=True)]
    assert sum(right) / len(right) > 0.9


def test_inspect_tells_what_the_exporter_made(packages: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "inspect", "--json", str(packages["open"])]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["inputs"][0]["shape"] == ["batch", 3, "height", "width"]
    assert found["operators"]["Conv"] == 4
    assert found["runtime"]["problem"] is None
    assert found["runtime"]["missing"] == []
    assert main(["models", "inspect", "--json", str(packages["quantized"])]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["operators"]["QuantizeLinear"] > 4


@pytest.mark.parametrize("form", ["fixed", "open", "last"])
def test_the_daemons_best_five_are_pytorchs_with_its_probabilities(
    digits: Digits, answers: dict[str, list[dict[str, float]]], form: str
) -> None:
    for picture, seen in zip(digits.pictures, answers[form], strict=False):
        probabilities = digits.probabilities(picture)
        assert list(seen) == best_five(probabilities)
        for label, score in seen.items():
            assert score == pytest.approx(float(probabilities[int(label)]), abs=WITHIN)


@pytest.mark.parametrize(("form", "within"), [("half", 0.005), ("quantized", 0.15), ("twin", 0.15)])
def test_coarser_forms_agree_as_far_as_their_numbers_do(
    digits: Digits, answers: dict[str, list[dict[str, float]]], form: str, within: float
) -> None:
    same = 0
    for picture, seen in zip(digits.pictures, answers[form], strict=False):
        probabilities = digits.probabilities(picture)
        same += next(iter(seen)) == best_five(probabilities)[0]
        for label, score in seen.items():
            assert score == pytest.approx(float(probabilities[int(label)]), abs=within)
    assert same >= PICTURES - 1


def test_another_recipe_is_not_what_pytorch_sees(digits: Digits, packages: dict[str, Path]) -> None:
    """The test above would find it: OpenCV's bilinear, or a stretch, gives other probabilities than WITHIN."""
    session = onnxruntime.InferenceSession(packages["fixed"], providers=["CPUExecutionProvider"])
    far = 0
    for picture in digits.pictures[:PICTURES]:
        pixels = torch.from_numpy(np.asarray(picture.resize((SIDE, SIDE))).transpose(2, 0, 1).copy()) / 255
        mean, std = (torch.tensor(RECIPE[key])[:, None, None] / 255 for key in ("mean", "std"))
        (logits,) = session.run(None, {"images": ((pixels - mean) / std)[None].numpy().astype(np.float32)})
        other = torch.softmax(torch.from_numpy(logits), 1)[0].numpy()
        far += bool(np.abs(other - digits.probabilities(picture)).max() > WITHIN)
    assert far > PICTURES // 2


def test_the_package_has_no_remarks(
    packages: dict[str, Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels, sizes and files fit each other; what check says of them is nothing."""
    config = folder / "check.yaml"
    models = {name: {"package": str(path.parent), "accelerator": "never"} for name, path in packages.items()}
    cameras = {name: {"source": "synthetic:shapes", "model": name} for name in packages}
    config.write_text(json.dumps({"cameras": cameras, "models": models}))
    assert main(["check", "-c", str(config)]) == 0
    assert "warning" not in capsys.readouterr().err
