"""The command line: one function a verb, no work of their own. Exit codes are those of sysexits.h (see errors.py)."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visiond import __version__, cli_models
from visiond.errors import OutputClosed, UsageError, VisiondError
from visiond.standard_output import told_output

_UNNAMED = Path()  # --bundle without a file's name


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; what a user can mend is one sentence on stderr."""
    try:
        with told_output():
            arguments = _parser().parse_args(argv)
            code: int = arguments.verb(arguments)
    except VisiondError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (BrokenPipeError, OutputClosed):  # `visiond watch | head`
        return 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def run(arguments: argparse.Namespace) -> int:
    """The daemon, in the foreground, until SIGTERM or Ctrl-C."""
    from visiond import journal, service

    journal.set_up()
    if arguments.socket is not None and not arguments.socket.name:
        raise UsageError(f"--socket '{arguments.socket}': give the path of a socket, such as /tmp/v.sock")
    return service.run(_config_path(arguments), arguments.socket)


def check(arguments: argparse.Namespace) -> int:
    """Validate the configuration and the model packages that it names."""
    from visiond import service

    path = _config_path(arguments)
    for warning in service.check(path):
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{path}: no errors")
    return 0


def schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the configuration."""
    import json

    from visiond.config import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0


def status(arguments: argparse.Namespace) -> int:
    """One status message."""
    from visiond.status_report import status as report

    return report(_socket_path(arguments), arguments.json, sys.stdout)


def watch(arguments: argparse.Namespace) -> int:
    """Follow the detections."""
    from visiond.watch import watch as follow

    socket_path = _socket_path(arguments)
    return follow(socket_path, arguments.camera, arguments.count, arguments.json, sys.stdout, arguments.masks)


def cameras(arguments: argparse.Namespace) -> int:
    """Say what can be opened here."""
    from visiond.cameras.listing import cameras as list_all

    return list_all(arguments.json, sys.stdout)


def doctor(arguments: argparse.Namespace) -> int:
    """Find out what is wrong, why, and what to do."""
    from visiond.doctor.examination import DEFAULT_SECONDS
    from visiond.doctor.examination import doctor as examine

    seconds: float | None = arguments.seconds
    if seconds is not None and not arguments.exercise:
        raise UsageError("--seconds: is for --exercise, give both or neither")
    if arguments.exercise and seconds is None:
        seconds = DEFAULT_SECONDS
    if arguments.bundle is not None:
        from visiond.doctor.bundle import bundle

        target = None if arguments.bundle is _UNNAMED else arguments.bundle
        config = _config_path(arguments)
        return bundle(config, arguments.socket, seconds, arguments.json, target, sys.stdout, sys.stderr)
    return examine(_config_path(arguments), arguments.socket, seconds, arguments.json, sys.stdout, sys.stderr)


def reload(arguments: argparse.Namespace) -> int:
    """Ask the daemon to read its configuration again."""
    from visiond.control import reload as ask

    return ask(_socket_path(arguments), sys.stdout)


class _Parser(argparse.ArgumentParser):
    """argparse ends with 2 for a usage error; the contract is 64."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """What a verb does not know is said with that verb's own help, not with that of all."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{self.prog}: {message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="visiond", description="Camera to detections on a Unix socket.")
    parser.add_argument("--version", action="version", version=f"visiond {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, function: object, help_text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=help_text)
        made.set_defaults(verb=function)
        return made

    daemon = verb("run", run, "the daemon, in the foreground")
    daemon.add_argument("--socket", type=Path, help="listen here and not at the configuration's socket.path")
    checker = verb("check", check, "validate the configuration; print every error with its place and remedy")
    examiner = verb(
        "doctor", doctor, "what is wrong here, why, and what to do; exit 0, or 1 where something has failed"
    )
    examiner.add_argument("--exercise", action="store_true", help="let each free Edge TPU work, next to the CPU")
    examiner.add_argument("--seconds", type=float, help="how long, with --exercise; 20 unless given")
    examiner.add_argument(
        "--bundle",
        type=Path,
        nargs="?",
        const=_UNNAMED,
        metavar="FILE.tar.gz",
        help="write a report to send: findings, status, versions, log, configuration without passwords; no pictures",
    )
    for each in (daemon, checker, examiner):
        each.add_argument("-c", "--config", type=Path, help="default: $VISIOND_CONFIG, else /etc/visiond/visiond.yaml")
    workshop = verbs.add_parser(
        "models",
        help="convert, look into, verify, measure and fetch models",
        description="Convert, look into, verify, measure and fetch models.",
    )
    cli_models.add_verbs(workshop.add_subparsers(metavar="VERB", required=True))
    verb("schema", schema, "print the JSON Schema of the configuration")
    reader = verb("status", status, "the daemon's state; exit 0 ok, 1 degraded or blind, 69 no daemon")
    follower = verb("watch", watch, "follow the detections, as a table or as JSON lines")
    reloader = verb("reload", reload, "let the daemon read its configuration again; prints what was applied or refused")
    for each in (reader, follower, examiner, reloader):
        each.add_argument("--socket", type=Path, help="the daemon's socket, where it is not at its default place")
    lister = verb("cameras", cameras, "what can be opened here, with formats")
    for each in (reader, follower, lister):
        each.add_argument("--json", action="store_true", help="for programs: JSON, one object a line")
    examiner.add_argument("--json", action="store_true", help="for programs: one JSON object, see docs/hardware.md")
    follower.add_argument("--camera", help="only this camera")
    follower.add_argument("--masks", action="store_true", help="with --json: segments come with their masks")
    follower.add_argument("--count", type=int, help="end after so many detections messages")
    return parser


def _config_path(arguments: argparse.Namespace) -> Path:
    from visiond.places import default_path

    path: Path | None = arguments.config
    return default_path() if path is None else path


def _socket_path(arguments: argparse.Namespace) -> Path:
    from visiond.places import running_socket_path

    path: Path | None = arguments.socket
    return running_socket_path() if path is None else path
