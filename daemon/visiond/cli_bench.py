"""The command line of `visiond models bench`: its options, and what they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """`visiond models bench`."""
    help_text = "how long a package's model takes here, by runtime, threads and delegate; exit 1 where nothing runs"
    parser = verbs.add_parser("bench", help=help_text, description=help_text)
    parser.set_defaults(verb=bench)
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="a folder with a model.yaml")
    parser.add_argument("--runtime", type=_words, metavar="A,B", help="litert, tflite-runtime, pycoral, onnx; all")
    parser.add_argument("--threads", type=_numbers, metavar="1,2", help="default: 1, 2, 4, … up to the cores")
    parser.add_argument("--delegate", type=_words, metavar="A,B", help="xnnpack, none, edgetpu; all")
    parser.add_argument("--device", metavar="usb:0", help="the Edge TPU; default: the first, where there is one")
    parser.add_argument("--library", default="libedgetpu.so.1", metavar="FILE", help="libedgetpu, a name or a path")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured, in turns; 5 unless given")
    parser.add_argument("--minutes", type=float, default=0.0, help="then invoke for so long: does heat slow it down?")
    parser.add_argument(
        "--against-tool", type=Path, nargs="?", const=Path(), metavar="PATH", help="LiteRT's own benchmark next to it"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the result, for --compare")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="next to a result that was saved before")
    parser.add_argument("--other-model", action="store_true", help="compare even where the files are not the same")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object, see docs/models.md")
    parser.add_argument("--sysfs", type=Path, default=Path("/sys"), help=argparse.SUPPRESS)  # of a simulated stick
    parser.add_argument("--dev", type=Path, default=Path("/dev"), help=argparse.SUPPRESS)


def bench(arguments: argparse.Namespace) -> int:
    """Measure a package's model on this machine."""
    from visiond.modelkit.bench.subjects import Wish
    from visiond.modelkit.bench.verb import Options
    from visiond.modelkit.bench.verb import bench as measure

    given = arguments
    wish = Wish(given.runtime, given.threads, given.delegate, given.device, given.library, given.sysfs, given.dev)
    options = Options(
        given.rounds,
        given.minutes,
        given.against_tool,
        given.save,
        given.compare,
        given.other_model,
        given.json,
    )
    return measure(given.package, wish, options, sys.stdout, sys.stderr)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",")))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(word) for word in text.split(",")))


_numbers.__name__ = "list of numbers"  # argparse: invalid list of numbers value: '1;2'
