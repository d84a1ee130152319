"""The simulator's command line, for a developer without the stick."""

from __future__ import annotations

import argparse
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from edgetpu_sim import layout
from edgetpu_sim.simulator import Simulator
from edgetpu_sim.stick import Stick

_STICK: Final = re.compile(r"^stick=(\d+)$")  # what `set` takes among its settings is taken everywhere
FORMATS: Final = {"f32": "f", "u8": "B", "i8": "b", "i32": "i", "i64": "q"}
SETTINGS: Final[dict[str, Callable[[Stick, str], None]]] = {
    "invoke_ms": lambda stick, value: stick.set_invoke_ms(float(value)),
    "open_ms": lambda stick, value: stick.set_open_ms(float(value)),
    "refuse_ms": lambda stick, value: stick.set_refuse_ms(float(value)),
    "swap_ms": lambda stick, value: stick.set_swap_ms(float(value)),
    "ramp_ms": lambda stick, value: stick.set_ramp_ms(float(value), 100 * float(value)),
    "leak_bytes": lambda stick, value: stick.leak(int(value)),
    "claim": lambda stick, value: stick.claim(value),
    "constant": lambda stick, value: stick.output_constant(int(value)),
    "from_input": lambda stick, value: stick.output_from_input(int(value)),
    "nan": lambda stick, _: stick.output_nan(),
    "hash_inputs": lambda stick, value: stick.hash_inputs(bool(int(value))),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; exit code 0, 64 for words that it does not understand, 66 without a started folder."""
    options = _parser().parse_args(_STICK.sub(r"--stick=\1", argument) for argument in arguments)
    if options.command != "start" and not (options.folder / "control").exists():
        print(f"{options.folder} has no simulated Edge TPU; make one: simulator.py start {options.folder}")
        return 66
    if (options.stick or 0) >= layout.STICKS:
        print(f"there are sticks 0 to {layout.STICKS - 1}, and no stick {options.stick}")
        return 64
    try:
        with Simulator(options.folder, getattr(options, "sticks", 1)) as simulator:
            options.run(simulator, options)
    except (ValueError, IndexError) as error:
        print(f"{options.command}: not understood: {error}")
        return 64
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator.py", description="A simulated Coral USB Edge TPU.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[Simulator, argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=text, description=text)
        found.add_argument("folder", type=Path)
        found.set_defaults(run=run, stick=0)
        return found

    command("start", _start, "make it; print what a daemon needs").add_argument("--sticks", type=int, default=1)
    show = command("show", _show, "print what the sticks have counted")
    show.set_defaults(stick=None)
    settings = command("set", _set, f"NAME=VALUE …: {', '.join(SETTINGS)}")
    settings.add_argument("settings", nargs="+", metavar="NAME=VALUE")
    outputs = command(
        "outputs", _outputs, "TENSOR=FORMAT:V,V,…: what the outputs of these names hold; others are zeros"
    )
    outputs.add_argument("outputs", nargs="+", metavar=f"TENSOR={'|'.join(FORMATS)}:V,V,…")
    fault = command("fail", _fail, f"one of {', '.join(layout.FAULTS)}")
    fault.add_argument("kind", choices=layout.FAULTS)
    fault.add_argument("--at", type=int, default=1, help="the n-th call from now")
    fault.add_argument("--times", type=int, help="how often; for ever if left out")
    others = [show, settings, fault, outputs]
    others.append(command("plug", lambda simulator, options: simulator.stick(options.stick).plug(), "plug it in"))
    others.append(command("unplug", lambda simulator, options: simulator.stick(options.stick).unplug(), "pull it out"))
    others.append(
        command(
            "deny",
            lambda simulator, options: simulator.stick(options.stick).deny(),
            "no permission; root's open fails too",
        )
    )
    others.append(command("heal", lambda simulator, options: simulator.stick(options.stick).heal(), "end all faults"))
    for other in others:
        other.add_argument("--stick", type=int, help="0 to 3; 0 if left out (show: all). stick=N is the same")
    return parser


def _start(simulator: Simulator, _: argparse.Namespace) -> None:
    for name, value in simulator.environment().items():
        print(f"export {name}={value}")
    print("\n# in the daemon's configuration:\nedgetpu:")
    for key, value in simulator.config().items():
        print(f"  {key}: {value}")


def _show(simulator: Simulator, options: argparse.Namespace) -> None:
    for number in range(layout.STICKS) if options.stick is None else (options.stick,):
        stick = simulator.stick(number)
        if not stick.get("plugs"):
            continue
        firmware = "ready" if stick.get("firmware") else "bootloader"
        print(f"stick {number}, port {stick.port}: {stick.state}, {firmware}")
        print("  " + ", ".join(f"{name} {value}" for name, value in asdict(stick.counters()).items()))
        print(f"  device {stick.device or '-'}, options {stick.options}, dropped {stick.dropped}")
        struck = {kind: stick.fired(kind) for kind in layout.FAULTS if stick.fired(kind)}
        print(f"  faults that struck: {struck or 'none'}")


def _set(simulator: Simulator, options: argparse.Namespace) -> None:
    stick = simulator.stick(options.stick)
    for name, _, value in (setting.partition("=") for setting in options.settings):
        if name not in SETTINGS:
            raise ValueError(f"there is no setting {name}; there are {', '.join(SETTINGS)}")
        try:
            SETTINGS[name](stick, value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _outputs(simulator: Simulator, options: argparse.Namespace) -> None:
    outputs = {}
    for text in options.outputs:
        tensor, _, values = text.rpartition("=")
        form, _, numbers = values.partition(":")
        if form not in FORMATS:
            raise ValueError(f"{text}: write {tensor or 'TENSOR'}=FORMAT:V,V,… with one of {', '.join(FORMATS)}")
        convert = float if form == "f32" else int
        parsed = [convert(number) for number in numbers.split(",")]
        try:
            outputs[tensor] = struct.pack(f"<{len(parsed)}{FORMATS[form]}", *parsed)
        except struct.error as error:  # whose words differ from one Python to the next
            raise ValueError(f"{tensor}: {numbers} does not fit into {form}") from error
    simulator.stick(options.stick).output_set(outputs)
    print(f"set for outputs called {', '.join(outputs)}; whether a model has outputs of these names is not checked")


def _fail(simulator: Simulator, options: argparse.Namespace) -> None:
    simulator.stick(options.stick).fail(options.kind, options.at, options.times)
