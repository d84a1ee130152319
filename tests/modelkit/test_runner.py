"""Runner: one variant of a package, with the stages that frames go through."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgetpu_sim.simulator import Simulator
from modelkit.verify.packages import classifier
from visiond.cameras.pictures import read_picture
from visiond.edgetpu.stick_lock import StickBusy
from visiond.engine.interpreter import Kernels
from visiond.errors import ModelError
from visiond.messages import StickOrder
from visiond.modelkit.manifest import InputRecipe
from visiond.modelkit.package import load_package
from visiond.modelkit.runner import Runner, Variant
from visiond.modelkit.tflite_file import open_model


def test_it_finds_what_the_golden_examples_expect(root: Path) -> None:
    package = load_package(root / "models" / "shapes")
    with Runner(package, Variant("cpu", package.file("cpu"))) as runner:
        run = runner.run(read_picture(package.folder / "golden1.png")[0])
        assert run.problem is None
        assert {each.label for each in run.found if each.score > 0.5} >= {"cross", "star", "ball", "ring"}  # type: ignore[union-attr]
        assert min(run.preprocess_ms, run.invoke_ms, run.decode_ms) > 0
        for raw, real, info in zip(
            run.outputs, runner.dequantized(run.outputs), runner.interpreter.outputs, strict=True
        ):
            assert info.quantization is not None
            expected = (raw.astype(float) - info.quantization.zero_point) * info.quantization.scale
            np.testing.assert_allclose(real, expected, rtol=1e-6)


def test_a_tensor_is_what_a_picture_becomes(root: Path) -> None:
    package = load_package(root / "models" / "shapes")
    picture = read_picture(package.folder / "golden2.png")[0]
    with Runner(package, Variant("cpu", package.file("cpu"))) as runner:
        values = runner.tensor(picture)
        assert (values.shape, values.dtype) == (runner.interpreter.input.shape, np.int8)
        once, again = runner.run(picture), runner.run_tensor(values)
        for one, other in zip(once.outputs, again.outputs, strict=True):
            np.testing.assert_array_equal(one, other)
        swapped = runner.preprocessor(InputRecipe.model_validate({**package.input.model_dump(), "color": "bgr"}))
        assert (runner.run(picture, swapped).outputs[0] != once.outputs[0]).any()
        grey = {**package.input.model_dump(), "color": "gray", "mean": (0.0,), "std": (255.0,)}
        with pytest.raises(ModelError, match="channels"):
            runner.preprocessor(InputRecipe.model_validate(grey))


@pytest.mark.assets
@pytest.mark.parametrize("kernels", ["builtin", "reference"])
def test_other_kernels_than_xnnpack_compute(assets: Path, tmp_path: Path, kernels: Kernels) -> None:
    """The runtime's own kernels are exact for this model; XNNPACK's differ by some quanta."""
    package = load_package(classifier(tmp_path / "small", assets))
    picture = read_picture(assets / "images" / "grace_hopper.bmp")[0]
    outputs = {}
    for each in ("xnnpack", kernels):
        with Runner(package, Variant(each, package.file("cpu"), "litert", kernels=each)) as runner:
            operators = [details["op_name"] for details in runner.interpreter._native._get_ops_details()]  # type: ignore[attr-defined]
            assert ("DELEGATE" in operators) == (each == "xnnpack")
            outputs[each] = runner.run(picture).outputs[0].astype(int)
    assert outputs[kernels].argmax() == outputs["xnnpack"].argmax()
    assert np.abs(outputs[kernels] - outputs["xnnpack"]).max() <= 30


@pytest.mark.assets
def test_a_stick_is_locked_until_the_runner_is_closed(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = load_package(classifier(tmp_path / "small", assets, edgetpu=True))
    with Simulator(tmp_path / "sticks") as simulator:
        for name, value in simulator.environment().items():
            monkeypatch.setenv(name, value)
        place = simulator.config()
        library = str(shutil.copy(place["library"], tmp_path / "libedgetpu_sim.so"))  # a process loads a file once
        stick = StickOrder("usb:0", simulator.stick(0).port, library, None, {}, place["sysfs"])
        variant = Variant("edgetpu", package.file("edgetpu"), "litert", stick=stick)
        with Runner(package, variant) as runner:
            assert runner.interpreter.engine == "edgetpu"
            with pytest.raises(StickBusy):
                Runner(package, variant)
        with pytest.raises(ModelError):
            Runner(package, Variant("edgetpu", package.folder / "labels.txt", stick=stick))
        Runner(package, variant).close()  # a runner that failed has given the stick back


def test_the_shapes_model_is_quantized(root: Path) -> None:
    from visiond.modelkit.verify.variants import _is_quantized

    path = root / "models" / "shapes" / "shapes.tflite"
    assert _is_quantized(path)
    with open_model(path) as model:
        assert model.input_tensors[0].dtype == "int8"
