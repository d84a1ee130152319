"""`visiond models convert` around its child: checks before, what is kept, what is said, the package in its place."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from modelkit.convert.stand_in import StandIn
from visiond.cli import main
from visiond.modelkit.convert.environment import VARIABLE
from visiond.modelkit.package import load_package


class Bench:
    """A folder with a model that nobody reads, and the stand-in that converts it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.shapes = root / "models" / "shapes"
        self.source = folder / "net.keras"
        self.source.write_bytes(b"a model")
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        (self.pictures / "one.png").write_bytes((self.shapes / "golden1.png").read_bytes())
        self.to = folder / "to"
        self.stand_in = StandIn(folder, self.shapes / "shapes.tflite")

    @property
    def target(self) -> Path:
        return self.to / "net"

    def command(self, *more: str) -> list[str]:
        given = ["models", "convert", str(self.source), "--to", str(self.to)]
        recipe = str(self.shapes / "model.yaml")
        return [*given, "--recipe", recipe, "--representative", str(self.pictures), "--variants", "dynamic,int8", *more]

    def there(self) -> list[str]:
        return sorted(path.name for path in self.to.iterdir()) if self.to.exists() else []


@pytest.fixture
def bench(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, root)
    monkeypatch.setenv(VARIABLE, str(made.stand_in.path))
    return made


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("behaviour", "warned"), [("finish", False), ("unpaired", True)])
def test_what_could_not_be_compared_with_the_source_is_a_warning(
    bench: Bench, capsys: pytest.CaptureFixture[str], behaviour: str, warned: bool
) -> None:
    bench.stand_in.behave(behaviour)
    assert main(bench.command()) == 0
    assert ("do not pair with the source's" in capsys.readouterr().out) == warned
    assert bench.stand_in.orders[-1]["prove"] is True


@pytest.mark.slow
def test_what_the_child_makes_becomes_a_package(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(bench.command("--golden", str(bench.shapes / "golden2.png"))) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].split() == ["VARIANT", "INPUT", "SIZE", "GZIPPED"]
    assert "warning: int8 found its ranges on 3 pictures" in told.out
    assert f"{bench.target} is a whole package, with net_int8.tflite as files.cpu" in told.out
    assert "  stand-in, input 192×144×3, 100 weights, 25.0 % of them zero: it is pruned" in told.err
    assert "  33 of 33 operators would run on an Edge TPU by its published rules" in told.err
    assert "chatter" not in told.err
    package = load_package(bench.target)
    package.verify_files()
    assert (package.name, package.task, package.license) == ("net", "detection", "Apache-2.0")
    assert package.labels is not None
    assert package.load_labels().names == load_package(bench.shapes).load_labels().names
    assert package.input.resize == "stretch"
    assert "converted from net.keras (sha256 " in (package.source or "")
    labels = {each.label for each in package.golden[0].expect}
    assert {"ball", "cube", "star", "cross"} <= labels
    assert all(each.box is not None for each in package.golden[0].expect)
    assert bench.there() == ["net"]
    assert sorted(path.name for path in bench.target.iterdir()) == [
        "golden1.png",
        "labels.txt",
        "model.yaml",
        "net_dynamic.tflite",
        "net_int8.tflite",
    ]


def test_the_order_is_the_recipes(bench: Bench) -> None:
    assert main(bench.command("--samples", "7", "--io", "uint8")) == 0
    (order,) = bench.stand_in.orders
    assert order["input"]["mean"] == [0, 0, 0]  # type: ignore[index]
    assert order["input"]["interpolation"] == "bilinear"  # type: ignore[index]
    assert (order["samples"], order["io_type"], order["form"]) == (7, "uint8", "keras")
    assert order["representative"] == str(bench.pictures)
    assert list(order["variants"]) == ["dynamic", "int8"]  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("behaviour", "code", "told"),
    [
        ("abort", 65, "TensorFlow died of SIGABRT while it converted this model; its last words are above"),
        ("kill", 69, "the conversion was killed, as the kernel does when memory is short"),
        ("refuse", 65, "the model has a fault; mend it"),
    ],
)
def test_a_child_that_fails_is_a_sentence_and_what_is_finished_stays(
    bench: Bench, capsys: pytest.CaptureFixture[str], behaviour: str, code: int, told: str
) -> None:
    bench.stand_in.behave(behaviour)
    assert main(bench.command()) == code
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(told)
    assert ("  chatter of a native library" in said) == (behaviour != "refuse")
    kept = bench.to / ".net.converting"
    assert said[-2] == f"what is finished is kept in {kept}; once the cause is mended, the same command goes on there"
    assert bench.there() == [".net.converting"]
    assert sorted(path.name for path in (bench.to / ".net.converting").iterdir()) == [
        "net_dynamic.tflite",
        "net_dynamic.tflite.done",
    ]
    bench.stand_in.behave("finish")
    assert main(bench.command()) == 0
    assert "  net_dynamic.tflite: was there" in capsys.readouterr().err
    assert list(bench.stand_in.orders[-1]["variants"]) == ["int8"]  # type: ignore[call-overload]
    assert bench.there() == ["net"]


def test_what_is_kept_is_only_of_the_same_order(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not as it was left, or of another model, is made again."""
    bench.stand_in.behave("refuse")
    again = ("--variants", "int8,dynamic,float32")
    assert main(bench.command("--variants", "int8,dynamic")) == 65
    kept = bench.to / ".net.converting" / "net_dynamic.tflite"
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")  # by a disk, or by somebody
    assert main(bench.command(*again)) == 65
    assert list(bench.stand_in.orders[-1]["variants"]) == ["float32", "dynamic", "int8"]  # type: ignore[call-overload]
    assert main(bench.command(*again)) == 65  # float32 was finished
    assert list(bench.stand_in.orders[-1]["variants"]) == ["dynamic", "int8"]  # type: ignore[call-overload]
    bench.source.write_bytes(b"another model")
    assert main(bench.command(*again)) == 65
    assert list(bench.stand_in.orders[-1]["variants"]) == ["float32", "dynamic", "int8"]  # type: ignore[call-overload]
    capsys.readouterr()


def test_ctrl_c_ends_the_child_and_says_what_is_kept(bench: Bench, root: Path) -> None:
    bench.stand_in.behave("wait")
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    process = subprocess.Popen(
        [sys.executable, "-m", "visiond", *bench.command()], stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stderr is not None
    with process.stderr as said:
        assert any(line.startswith("converting to int8") for line in said)
        process.send_signal(signal.SIGINT)
        rest = said.read()
    assert process.wait() == 130
    assert rest.splitlines()[-1] == "interrupted; what is finished is kept, and the same command goes on there"
    assert not still_running(bench.stand_in.path)
    assert len(list((bench.to / ".net.converting").iterdir())) == 2


def still_running(program: Path) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:
            continue  # it has ended
    return [line.decode() for line in found if str(program).encode() in line]


def test_two_at_once_do_not_mix(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    from visiond.modelkit.fetch.staging import Staging

    with Staging(bench.to, "net", "convert"):
        assert main(bench.command()) == 75
    assert "is being converted by another process; wait for it" in capsys.readouterr().err


@pytest.mark.slow
def test_replace_leaves_the_old_package_until_the_new_one_is_whole(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(bench.command()) == 0
    assert main(bench.command()) == 64
    assert "is there already; give another --name or --to, or --replace" in last_line(capsys)
    before = (bench.target / "model.yaml").read_text()
    bench.source.write_bytes(b"a newer model")
    bench.stand_in.behave("refuse")
    assert main(bench.command("--replace")) == 65
    assert (bench.target / "model.yaml").read_text() == before
    bench.stand_in.behave("finish")
    assert main(bench.command("--replace")) == 0
    assert (bench.target / "model.yaml").read_text() != before
    assert bench.there() == ["net"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--variants", "int8,int4"], 64, "there is no 'int4'; give some of float32,float16,dynamic,int8"),
        (["--ship", "float32"], 64, "is none of --variants dynamic,int8; add it there, or ship another"),
        (["--name", "../up"], 64, "give at most 64 letters"),
        (["--samples", "0"], 64, "--samples 0: give 1 or more"),
        (["--mean", "0"], 64, "--mean: stands in --recipe"),
        (["--mean", "a"], 64, "--mean: 'a' is no list of numbers; give one per channel, as 123.7,116.3,103.5"),
        (["--labels-offset", "-1"], 64, "--labels-offset: stands in --recipe"),
        (["--labels", "nowhere.txt"], 64, "--labels: stands in --recipe"),
        (
            ["--io", "uint8", "--variants", "float32"],
            64,
            "--io uint8: is for int8, which is none of --variants float32",
        ),
        (["--representative", "nowhere"], 66, "--representative nowhere is no folder"),
        (["--golden", "nowhere.png"], 66, "--golden nowhere.png does not exist"),
        (["--evaluate", "nowhere.json"], 66, "nowhere.json cannot be read"),
        (["--recipe", "nowhere.yaml"], 66, "nowhere.yaml"),
        (["--io", "int4"], 64, "invalid choice: 'int4'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    assert main(bench.command(*arguments)) == code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert told in said[0]
    assert not bench.to.exists()
    assert not bench.stand_in.orders


def test_pictures_that_do_not_open_are_named_before_anything_is_converted(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty, cut = (bench.folder / name for name in ("good.png", "empty.png", "cut.png"))
    content = (bench.shapes / "golden2.png").read_bytes()
    for path, each in ((good, content), (empty, b""), (cut, content[:1000])):
        path.write_bytes(each)
    assert main(bench.command("--golden", str(good), str(empty), str(cut))) == 65
    said = last_line(capsys)
    assert said.startswith(f"{empty} is no picture that can be used (")
    assert f", {cut} is no picture that can be used (" in said
    assert said.endswith("; copy them again, or take them out")
    assert not bench.stand_in.orders
    assert not bench.to.exists() or not list(bench.to.glob("[!.]*"))


@pytest.mark.parametrize(
    ("name", "content", "code", "told"),
    [
        ("net.pt", b"x", 65, "export it with torch.onnx.export"),
        ("net.tflite", b"x", 65, "is converted already"),
        ("net.pb", b"x", 65, "give the folder of a SavedModel"),
        ("net.txt", b"x", 65, "is no model that can be converted"),
        ("net.onnx", b"", 65, "is empty; copy it again"),
        ("gone.keras", None, 66, "does not exist"),
    ],
)
def test_a_source_that_is_none(
    bench: Bench, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, code: int, told: str
) -> None:
    bench.source = bench.folder / name
    if content is not None:
        bench.source.write_bytes(content)
    assert main(bench.command()) == code
    assert told in last_line(capsys)
    bench.source = bench.pictures
    assert main(bench.command()) == 65
    assert "is a folder without saved_model.pb" in last_line(capsys)


def test_options_are_a_recipe_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["models", "convert", str(bench.source), "--to", str(bench.to), "--variants", "int8"]
    given += ["--task", "detection", "--decoder", "yolov8", "--representative", str(bench.pictures)]
    assert main([*given, "--mean", "0", "--std", "255"]) == 0
    package = load_package(bench.target)
    assert (package.input.mean, package.input.std) == ((0, 0, 0), (255, 255, 255))
    capsys.readouterr()
    for wrong, told in (
        (["--mean", "0"], "--std: is missing"),
        (["--mean", "0,0", "--std", "255"], "--mean: needs 3 numbers with color: rgb"),
        (["--mean", "0", "--std", "0"], "--std: 0.0 is out of range"),
        (["--mean", "0", "--std", "1", "--labels-offset", "1"], "--labels-offset: there are no labels"),
        (["--mean", "0", "--std", "1", "--golden", str(bench.shapes / "golden2.png")], "and no class has a name; give"),
        (["--mean", "0", "--std", "1", "--resize", "strech"], "did you mean stretch?"),
        (["--mean", "0", "--std", "1", "--decoder", "scores"], "--decoder: scores does not fit task: detection"),
        (["--mean", "0", "--std", "1", "--labels", "nowhere.txt"], "--labels: nowhere.txt does not exist"),
    ):
        assert main([*given, *wrong, "--replace"]) == 64
        assert told in capsys.readouterr().err


def test_every_wrong_number_of_the_options_is_told_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["models", "convert", str(bench.source), "--to", str(bench.to), "--task", "detection"]
    assert main([*given, "--decoder", "yolov8", "--mean", "127.5,1", "--std", "0"]) == 64
    first, second = capsys.readouterr().err.splitlines()
    assert "--std: 0.0 is out of range" in first
    assert second == "--mean: needs 3 numbers with color: rgb, one per channel, not 2"


def test_what_is_printed_can_be_pasted(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    bench.to = bench.folder / "my models"
    assert main(bench.command("--variants", "float32,int8")) == 0
    (line,) = (each for each in capsys.readouterr().out.splitlines() if each.startswith("next, on the device:  "))
    reference = str(bench.target / "net_float32.tflite")
    assert shlex.split(line.partition(":  ")[2]) == [
        *("visiond", "models", "verify", str(bench.target)),
        *("--reference", reference),
    ]


@pytest.mark.parametrize("to", ["", "to", "absolute"])
def test_a_warning_names_the_place_where_the_package_is(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """Found in the hidden folder, which is gone when it is read."""
    monkeypatch.chdir(bench.folder)
    (bench.folder / "labels.txt").write_text("ball\ncube\n")
    bench.to = bench.folder / "to" if to == "absolute" else Path(to)
    given = ["models", "convert", str(bench.source), "--variants", "int8", "--representative", str(bench.pictures)]
    given += ["--task", "detection", "--decoder", "yolov8", "--mean", "0", "--std", "2550", "--labels", "labels.txt"]
    assert main([*given, *(["--to", str(bench.to)] if to else [])]) == 0
    told = capsys.readouterr().out
    assert f"\nwarning: {bench.target / 'model.yaml'}:" in told
    assert ".net.converting" not in told


def test_json_is_one_object(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(bench.command("--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["variant"] for row in told["variants"]] == ["dynamic", "int8"]
    assert told["source"]["zeros"] == 25
    assert told["shipped"] == "int8"


@pytest.mark.slow
def test_boxes_are_evaluated_with_cocos_json(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The truth here is what models/shapes promises of its golden pictures; all variants are one file here."""
    package = load_package(bench.shapes)
    names = [str(name) for name in package.load_labels().names]
    with Image.open(bench.shapes / package.golden[0].image) as picture:
        width, height = picture.size
    annotations = []
    for number, example in enumerate(package.golden):
        for expected in example.expect:
            assert expected.box is not None
            ymin, xmin, ymax, xmax = expected.box
            corner = [xmin * width, ymin * height, (xmax - xmin) * width, (ymax - ymin) * height]
            annotations.append({"image_id": number, "category_id": names.index(expected.label), "bbox": corner})
    pictures = [
        {"id": number, "file_name": example.image, "width": width, "height": height}
        for number, example in enumerate(package.golden)
    ]
    for each in pictures:
        (bench.folder / str(each["file_name"])).write_bytes((bench.shapes / str(each["file_name"])).read_bytes())
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    truth = bench.folder / "truth.json"
    truth.write_text(json.dumps({"images": pictures, "annotations": annotations, "categories": categories}))
    assert main(bench.command("--variants", "float32,dynamic", "--evaluate", str(truth), "--json")) == 0
    first, second = json.loads(capsys.readouterr().out)["variants"]
    assert first["metric"] == second["metric"] == "mAP@0.5:0.95"
    assert first["value"] == second["value"] > 0.5
    assert (first["agreement"], second["agreement"]) == (1, 1)
    assert first["low"] <= first["value"] <= first["high"]


def test_without_a_folder_that_can_be_written(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.to.write_text("a file")
    assert main(bench.command()) == 69
    assert "give another folder with --to" in last_line(capsys)
