"""`visiond models verify PACKAGE`: does the device compute what the training meant?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from visiond.errors import UsageError
from visiond.modelkit.package import MANIFEST, load_package
from visiond.modelkit.stick_choice import stick_of
from visiond.modelkit.verify.files import check_writable, is_folder, write_whole
from visiond.modelkit.verify.probes import probes_of
from visiond.modelkit.verify.progress import Progress
from visiond.modelkit.verify.session import Subject, Verified, verify
from visiond.modelkit.verify.variants import reference_of, variants_of


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's. `most` pictures are compared; `sweep` pictures of the dataset are swept, 0: none."""

    pictures: Path | None = None
    most: int = 8
    reference: Path | None = None
    dataset: Path | None = None
    dataset_most: int | None = None
    sweep: int = 200
    html: Path | None = None
    to_json: bool = False
    record: int | None = None
    device: str | None = None
    library: str = "libedgetpu.so.1"
    sysfs: Path = Path("/sys")
    dev: Path = Path("/dev")


def verify_package(folder: Path, options: Options, out: TextIO, err: TextIO) -> int:
    """Verify, print, write the HTML, record golden examples; return 1 where a tolerance is broken, else 0.

    Raises VisiondError in words; nothing is half-written then.
    """
    _check(options)
    package = load_package(folder)
    package.verify_files()
    if options.record is not None:
        check_writable(package.folder / MANIFEST, "or record into a copy of the package")
    stick = stick_of(package, options.device, options.library, options.sysfs, options.dev)
    reference = reference_of(package, options.reference)
    for line in package.remark_lines():  # what may explain what breaks
        print(f"warning: {line}", file=err)
    with TemporaryDirectory(prefix="visiond-verify-") as name, Progress(err) as progress:
        scratch = Path(name)
        subject = Subject(
            package=package,
            reference=reference,
            variants=tuple(variants_of(package, stick)),
            stick=stick,
            probes=probes_of(package, options.pictures, options.most, scratch),
            dataset=options.dataset,
            dataset_most=options.dataset_most,
            sweep_most=options.sweep,
        )
        verified = verify(subject, scratch, progress)
        html = None
        if options.html is not None:
            from visiond.modelkit.verify.html import page

            html = page(subject, verified).encode()
    try:
        _print(verified, options, out)
    finally:  # of the two, neither is lost with the other
        if options.html is not None and html is not None:
            write_whole(options.html, html)
    if options.html is not None and not options.to_json:
        print(f"{options.html}: written", file=out)
    if verified.report.broken:
        if options.record is not None:
            print("--record: nothing is recorded while something is broken", file=err)
        return 1
    if options.record is not None:
        from visiond.modelkit.verify.record import record

        record(subject, verified, options.record, err)
    return 0


def _print(verified: Verified, options: Options, out: TextIO) -> None:
    if options.to_json:
        print(json.dumps(verified.report.to_json(), ensure_ascii=False, allow_nan=False), file=out)
        return
    from visiond.modelkit.verify.terminal import print_report

    print_report(verified.report, out)


def _check(options: Options) -> None:
    for name, number, least in (
        ("--most", options.most, 1),
        ("--dataset-most", options.dataset_most, 1),
        ("--sweep", options.sweep, 0),
        ("--record", options.record, 1),
    ):
        if number is not None and number < least:
            raise UsageError(f"{name} {number}: give {least} or more")
    if options.html is not None:
        if is_folder(options.html):
            raise UsageError(f"--html {options.html} is a folder; give the name of a file")
        check_writable(options.html)
    if options.record is not None and options.pictures is None:
        raise UsageError("--record takes its golden examples from --pictures; give a folder with some")
