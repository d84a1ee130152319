"""The command line of `visiond models convert`: its options, and what they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiond.errors import UsageError

if TYPE_CHECKING:
    from visiond.modelkit.convert.request import Request

# Options that are keys of model.yaml; all others say how to convert.
_KEYS = {
    "task": "task",
    "size": "input.size",
    "resize": "input.resize",
    "interpolation": "input.interpolation",
    "shorter_side": "input.shorter_side",
    "color": "input.color",
    "mean": "input.mean",
    "std": "input.std",
    "pad": "input.pad",
    "labels_offset": "labels.offset",
    "decoder": "output.decoder",
    "activation": "output.activation",
    "license": "license",
}


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """`visiond models convert`."""
    help_text = "a trained model of Keras, TensorFlow or ONNX becomes a package: float32, float16, dynamic range, int8"
    parser = verbs.add_parser("convert", help=help_text, description=help_text)
    parser.set_defaults(verb=convert)
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="SOURCE", help=".keras, .h5, .onnx or a SavedModel folder"
    )
    parser.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="put DIR/NAME there; default: here")
    parser.add_argument("--name", help="of the package; default: the source's")
    parser.add_argument("--replace", action="store_true", help="replace a package of that name")
    how = parser.add_argument_group("how it is converted")
    how.add_argument(
        "--representative", type=Path, metavar="DIR", help="pictures like the camera's: int8 finds its ranges on them"
    )
    how.add_argument(
        "--samples", type=int, default=200, metavar="N", help="so many of them, evenly drawn; 200 unless given"
    )
    how.add_argument("--variants", default="float32,float16,dynamic,int8", metavar="A,B", help="default: all four")
    how.add_argument("--io", choices=("int8", "uint8"), help="inputs and outputs of int8; int8 unless given")
    how.add_argument("--ship", metavar="VARIANT", help="what becomes files.cpu; default: int8 where it is made")
    what = parser.add_argument_group("what it is worth")
    what.add_argument(
        "--evaluate", type=Path, metavar="DIR|COCO.json", help="labelled folders, or COCO boxes: measure every variant"
    )
    what.add_argument(
        "--golden",
        type=Path,
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="record golden examples of the float model",
    )
    what.add_argument("--threads", type=int, default=1, help="for --evaluate; 1 unless given")
    what.add_argument("--json", action="store_true", help="for programs: one JSON object, see docs/models.md")
    _add_recipe(parser.add_argument_group("model.yaml: --recipe, or these"))
    parser.add_argument(
        "--set-up", action="store_true", help="install TensorFlow and onnx2tf into an environment of their own"
    )


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--recipe", type=Path, metavar="model.yaml", help="task, labels, input, output as in a package")
    for name in ("task", "decoder", "activation", "resize", "interpolation", "color", "license"):
        group.add_argument(f"--{name}", help=argparse.SUPPRESS if name == "license" else "as in docs/package.md")
    for name in ("mean", "std"):
        group.add_argument(f"--{name}", type=_reals, metavar="A,B,C", help="one number per channel, or one for all")
    group.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="where the model leaves it open")
    for name in ("shorter-side", "pad"):
        group.add_argument(f"--{name}", type=int, metavar="N", help="as in docs/package.md")
    group.add_argument("--labels", type=Path, metavar="FILE", help="one class on each line")
    group.add_argument(
        "--labels-offset", type=int, default=None, metavar="N", help="class id + N = line; 0 unless given"
    )


def _reals(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of numbers; give one per channel, as 123.7,116.3,103.5, or one for all"
        ) from error


def convert(arguments: argparse.Namespace) -> int:
    """Convert a model, or set up what that needs."""
    if arguments.set_up:
        if arguments.source is not None:
            raise UsageError(f"--set-up converts nothing: run it alone, and then again with {arguments.source}")
        from visiond.modelkit.convert.environment import set_up

        folder = set_up(lambda text: print(text, file=sys.stderr, flush=True), arguments.replace)
        print(f"{folder} is ready")
        return 0
    if arguments.source is None:
        raise UsageError(
            "visiond models convert: give the model's file, or --set-up; see `visiond models convert --help`"
        )
    from visiond.modelkit.convert.verb import convert as carry_out

    return carry_out(_request(arguments), arguments.json, sys.stdout, sys.stderr)


def _request(arguments: argparse.Namespace) -> Request:
    """Check what can be checked of the options alone."""
    import re

    from visiond.modelkit.convert.request import Request, form_of, shipped_of, variants_of

    source: Path = arguments.source
    form = form_of(source)
    recipe = _recipe(arguments)
    variants = variants_of(arguments.variants)
    name = arguments.name or re.sub(r"[^A-Za-z0-9._-]+", "_", source.name.removesuffix(source.suffix) or source.name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(f"--name {name}: give at most 64 letters, digits, dots, dashes and underscores")
    for option, value in (("--samples", arguments.samples), ("--threads", arguments.threads)):
        if value < 1:
            raise UsageError(f"{option} {value}: give 1 or more")
    if arguments.io is not None and "int8" not in variants:
        raise UsageError(
            f"--io {arguments.io}: is for int8, which is none of --variants {','.join(variants)}; add it there, or "
            "leave --io out"
        )
    return Request(
        source=source,
        form=form,
        parent=arguments.to,
        name=name,
        recipe=recipe,
        representative=arguments.representative,
        samples=arguments.samples,
        variants=variants,
        io_type=arguments.io or "int8",
        shipped=shipped_of(arguments.ship, variants),
        dataset=arguments.evaluate,
        golden=tuple(arguments.golden),
        threads=arguments.threads,
        replace=arguments.replace,
    )


def _recipe(arguments: argparse.Namespace) -> Any:
    from visiond.modelkit.convert.recipe import recipe_of_file, recipe_of_options

    given = {key: getattr(arguments, option) for option, key in _KEYS.items() if getattr(arguments, option) is not None}
    if arguments.labels is not None:
        given = {"labels.path": "labels.txt", "labels.offset": 0} | given
    if arguments.recipe is not None:
        if given:
            option = next(option for option, key in (("labels", "labels.path"), *_KEYS.items()) if key in given)
            raise UsageError(
                f"--{option.replace('_', '-')}: stands in --recipe {arguments.recipe}; give one or the other"
            )
        return recipe_of_file(arguments.recipe)
    if arguments.labels is None and arguments.labels_offset is not None:
        raise UsageError(
            "--labels-offset: there are no labels that it could count; give --labels FILE, or leave it out"
        )
    channels = 1 if given.get("input.color") == "gray" else 3
    for key in ("input.mean", "input.std"):
        if len(given.get(key, ())) == 1:
            given[key] = given[key] * channels
    return recipe_of_options(given, arguments.labels)
