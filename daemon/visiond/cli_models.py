"""The command line's `models` verbs: one function a verb, no work of their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from visiond import cli_bench, cli_convert


def add_verbs(verbs: argparse._SubParsersAction[Any]) -> None:
    """`visiond models VERB`."""
    help_text = "what is in a package: files, labels, recipe, licence; exit 1 where a file cannot be used"
    teller = verbs.add_parser("info", help=help_text, description=help_text)
    teller.set_defaults(verb=info)
    teller.add_argument("package", type=Path, metavar="PACKAGE", help="a folder with a model.yaml")
    teller.add_argument("--json", action="store_true", help="for programs: one JSON object, model.yaml as understood")
    help_text = "inputs, outputs, operators, and what of it runs on an Edge TPU, read from the file itself"
    inspector = verbs.add_parser("inspect", help=help_text, description=help_text)
    inspector.set_defaults(verb=inspect)
    inspector.add_argument("file", type=Path, metavar="FILE", help="a .tflite or .onnx file")
    inspector.add_argument(
        "--log", type=Path, metavar="FILE", help="edgetpu_compiler's log; default: the one beside it"
    )
    inspector.add_argument("--json", action="store_true", help="for programs: one JSON object, see docs/models.md")
    _add_fetch_verbs(verbs)
    cli_convert.add_verb(verbs)
    _add_verify_verb(verbs)
    cli_bench.add_verb(verbs)


def _add_fetch_verbs(verbs: argparse._SubParsersAction[Any]) -> None:
    """`visiond models list` and `fetch`."""
    lister = verbs.add_parser("list", help="public models to fetch", description="Public models to fetch.")
    lister.set_defaults(verb=list_models)
    lister.add_argument("--json", action="store_true", help="for programs: a JSON list, with addresses and checksums")
    help_text = "fetch a public model as a package: files for CPU and Edge TPU, labels, recipe, all verified"
    fetcher = verbs.add_parser("fetch", help=help_text, description=help_text)
    fetcher.set_defaults(verb=fetch)
    fetcher.add_argument("name", metavar="NAME", help="one of `visiond models list`")
    fetcher.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="put DIR/NAME there; default: here")
    fetcher.add_argument(
        "--from", dest="origin", metavar="DIR|URL", help="take the files from a folder, a USB stick say, or a mirror"
    )
    fetcher.add_argument("--replace", action="store_true", help="replace a package of that name, model.yaml too")
    for each in (lister, fetcher):
        each.add_argument("--catalogue", type=Path, metavar="FILE", help="a catalogue of your own")


def _add_verify_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """`visiond models verify`."""
    help_text = "does the device compute what the training meant? exit 1 where a tolerance of model.yaml is broken"
    verifier = verbs.add_parser("verify", help=help_text, description=help_text)
    verifier.set_defaults(verb=verify)
    verifier.add_argument("package", type=Path, metavar="PACKAGE", help="a folder with a model.yaml")
    verifier.add_argument(
        "--pictures", type=Path, metavar="DIR", help="compare the variants on these; default: the golden pictures"
    )
    verifier.add_argument("--most", type=int, default=8, metavar="N", help="so many of them; 8 unless given")
    verifier.add_argument(
        "--reference", type=Path, metavar="FILE", help="the float .tflite or .onnx; default: files.cpu, plain kernels"
    )
    verifier.add_argument("--dataset", type=Path, metavar="DIR|JSON", help="labelled folders, or COCO's json")
    verifier.add_argument("--dataset-most", type=int, metavar="N", help="so many pictures of it; default: all")
    verifier.add_argument(
        "--sweep", type=int, default=200, metavar="N", help="pictures for the sweep of recipes; 200; 0: no sweep"
    )
    verifier.add_argument("--html", type=Path, metavar="FILE", help="write the report as one page")
    verifier.add_argument("--json", action="store_true", help="for programs: one JSON object, see docs/models.md")
    verifier.add_argument(
        "--record", type=int, nargs="?", const=3, metavar="N", help="write N of --pictures as golden examples; 3"
    )
    verifier.add_argument("--device", metavar="usb:0", help="the Edge TPU; default: the first, where there is one")
    verifier.add_argument("--library", default="libedgetpu.so.1", metavar="FILE", help="libedgetpu, a name or a path")
    verifier.add_argument("--sysfs", type=Path, default=Path("/sys"), help=argparse.SUPPRESS)  # of a simulated stick
    verifier.add_argument("--dev", type=Path, default=Path("/dev"), help=argparse.SUPPRESS)


def info(arguments: argparse.Namespace) -> int:
    """Say what is in a package."""
    from visiond.modelkit.package_text import info as tell

    return tell(arguments.package, arguments.json, sys.stdout)


def inspect(arguments: argparse.Namespace) -> int:
    """Say what is in a model's file."""
    from visiond.modelkit.inspection_text import inspect as look

    return look(arguments.file, arguments.log, arguments.json, sys.stdout)


def list_models(arguments: argparse.Namespace) -> int:
    """Say which public models can be fetched."""
    from visiond.modelkit.fetch.verbs import list_models as list_all

    return list_all(arguments.catalogue, arguments.json, sys.stdout)


def fetch(arguments: argparse.Namespace) -> int:
    """Fetch one of them as a package."""
    from visiond.modelkit.fetch.verbs import fetch as get

    origin, folder = arguments.origin, arguments.to
    return get(arguments.name, origin, folder, arguments.replace, arguments.catalogue, sys.stdout, sys.stderr)


def verify(arguments: argparse.Namespace) -> int:
    """Say whether the device computes what the training meant."""
    from visiond.modelkit.verify.verb import Options, verify_package

    options = Options(
        pictures=arguments.pictures,
        most=arguments.most,
        reference=arguments.reference,
        dataset=arguments.dataset,
        dataset_most=arguments.dataset_most,
        sweep=arguments.sweep,
        html=arguments.html,
        to_json=arguments.json,
        record=arguments.record,
        device=arguments.device,
        library=arguments.library,
        sysfs=arguments.sysfs,
        dev=arguments.dev,
    )
    return verify_package(arguments.package, options, sys.stdout, sys.stderr)
