"""`python -m visiond.modelkit.trial CONFIG`: do the models of a configuration work with this program, on the CPU?

Each model's file for the CPU is loaded in a child, which may die of it, and its golden examples are proved there: one
line a model. The exit code is 0 where all do, 1 where one does not, 66 or 78 where the configuration cannot be used.
No camera, stick or socket is touched: a daemon may run beside it. install.sh asks so before a new version takes over.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visiond.config import Config, load_config
from visiond.doctor.child import Message, converse
from visiond.errors import VisiondError
from visiond.modelkit.package import Package
from visiond.packages import load_packages

DEADLINE_S: Final = 120.0  # for each step: a large model on a busy, throttled board
_MODULE: Final = "visiond.modelkit.trial_process"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one model did; `text` is one sentence."""

    model: str
    good: bool
    text: str


def trials(config: Config, deadline_s: float = DEADLINE_S) -> Iterator[Outcome]:
    """Try each model that a camera uses, one after the other; raises ConfigError where a package cannot be used."""
    for name, package in load_packages(config).items():
        settings = config.models[name]
        file = package.cpu_file(settings.runtime)
        if file is None:
            yield Outcome(name, True, "has no file for the CPU, and is not tried")
        else:
            yield _try(name, package, file, settings.runtime, deadline_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each model; return the exit code."""
    parser = ArgumentParser(prog="python -m visiond.modelkit.trial", description="Try the models of a configuration.")
    parser.add_argument("config", type=Path)
    given = parser.parse_args(arguments)
    good = True
    try:
        for outcome in trials(load_config(given.config)):
            print(f"{'ok' if outcome.good else 'failed'}: model {outcome.model} {outcome.text}", flush=True)
            good = good and outcome.good
    except VisiondError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if good else 1


def _try(name: str, package: Package, file: str, runtime: str, deadline_s: float) -> Outcome:
    heard: dict[str, Message] = {"stage": {"stage": "starting"}}

    def hear(message: Message) -> None:
        heard[next(iter(message))] = message

    order = {"folder": str(package.folder), "file": file, "runtime": runtime}
    ended = converse(_MODULE, order, deadline_s, hear)
    if "failed" in heard:
        return Outcome(name, False, f"does not run: {heard['failed']['failed']}")
    if "golden" not in heard:
        words = f": {ended.words}" if ended.words else ""
        return Outcome(name, False, f"does not run: while {heard['stage']['stage']} its process {ended.how}{words}")
    passed, failures = heard["golden"]["golden"], heard["golden"]["failures"]
    where = f"on {heard['golden']['runtime']}"
    if failures:
        remedy = f"check the files in {package.folder}, and reinstall the version that they worked with"
        return Outcome(name, False, f"{where} does not reproduce its golden examples: {failures[0]}; {remedy}")
    if not package.golden:
        return Outcome(name, True, f"{where} loads; it has no golden examples that could be reproduced")
    return Outcome(name, True, f"{where} reproduces its golden examples: {passed} of {passed}")


if __name__ == "__main__":
    raise SystemExit(main())
