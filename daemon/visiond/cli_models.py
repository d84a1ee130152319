"""The command line's `models` verbs: one function a verb, no work of their own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_verbs(verbs: argparse._SubParsersAction[Any]) -> None:
    """`visiond models VERB`."""
    help_text = "inputs, outputs, operators, and what of it runs on an Edge TPU, read from the file itself"
    inspector = verbs.add_parser("inspect", help=help_text, description=help_text)
    inspector.set_defaults(verb=inspect)
    inspector.add_argument("file", type=Path, metavar="FILE", help="a .tflite file, compiled for the Edge TPU or not")
    inspector.add_argument(
        "--log", type=Path, metavar="FILE", help="edgetpu_compiler's log; default: the one beside it"
    )
    inspector.add_argument("--json", action="store_true", help="for programs: one JSON object, see docs/models.md")
    _add_fetch_verbs(verbs)


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
