"""Assembly: one request, from the child's files to the package that they make, in a folder that nobody sees yet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from visiond.modelkit.convert import job
from visiond.modelkit.convert.compiler import compile_for_edgetpu
from visiond.modelkit.convert.environment import ConvertPython
from visiond.modelkit.convert.measurement import Measured, measured, run
from visiond.modelkit.convert.outcome import Outcome, edgetpu_text, source_text
from visiond.modelkit.convert.package_writer import take_in, write_package
from visiond.modelkit.convert.progress import Progress
from visiond.modelkit.convert.request import Request, digest_of, keys_of
from visiond.modelkit.convert.table import decimal_size
from visiond.modelkit.convert.work import Work
from visiond.modelkit.fetch.staging import Staging
from visiond.modelkit.package import load_package

if TYPE_CHECKING:
    from visiond.modelkit.evaluation.dataset import Dataset

_FEW_PICTURES: Final = 50


class Assembly:
    """One request, step by step."""

    def __init__(self, request: Request, python: ConvertPython, staging: Staging, progress: Progress) -> None:
        self._request = request
        self._python = python
        self._staging = staging
        self._progress = progress
        self._work = Work(staging.folder)
        self._facts: dict[str, Any] = {}

    def carry_out(self, dataset: Dataset | None) -> Outcome:
        """Do all of it and return what to say; `dataset` is that of the request, read already."""
        request = self._request
        self._progress.step(f"looking at {request.source.name}")
        digest = digest_of(request.source)
        self._check_pictures(dataset)
        self._convert(keys_of(request, digest, self._python.versions))
        rows = [measured(variant, self._file(variant)) for variant in request.variants]
        compiled = None
        files = {"cpu": request.file_name(request.shipped)}
        if "int8" in request.variants:
            self._progress.step("looking for edgetpu_compiler")
            compiled = compile_for_edgetpu(self._file("int8"), request.target)
            self._progress.line(f"  {edgetpu_text(self._file('int8'))}")
            if compiled.file is not None:
                files["edgetpu"] = compiled.file.name
        write_package(self._staging, request, files, (), digest)
        golden = self._golden()
        names = write_package(self._staging, request, files, golden, digest)
        rows, failures = self._measure(rows)
        remarks = [*self._lints(), *failures, *self._remarks(rows, len(golden))]
        self._staging.place(names)
        return Outcome(request, self._facts, rows, compiled, remarks)

    def _check_pictures(self, dataset: Dataset | None) -> None:
        """Open what is evaluated and what becomes golden now, and not after the minutes that converting takes."""
        from visiond.modelkit.evaluation.dataset import sizes_told
        from visiond.modelkit.evaluation.pictures import check_pictures

        paths = dict.fromkeys((*self._request.golden, *(() if dataset is None else dataset.paths)))
        if paths:
            self._progress.step("opening the pictures")
            check_pictures(paths, sizes_told(dataset), self._progress.tell)

    def _lints(self) -> list[str]:
        """Load the package as the daemon will, and return what it warns of, at the place where it will be."""
        package = load_package(self._staging.folder)
        package.verify_files()
        return [self._placed(line) for line in package.remark_lines()]

    def _placed(self, line: str) -> str:
        """Name the places of a remark as they will be: its own is as --to was given, those in its text are absolute."""
        here, there = self._staging.folder, self._request.target
        line = line.replace(f"{here.absolute()}{os.sep}", f"{there.absolute()}{os.sep}")
        own = f"{here}{os.sep}"
        return f"{there}{os.sep}{line.removeprefix(own)}" if line.startswith(own) else line

    def _file(self, variant: str) -> Path:
        return self._staging.file(self._request.file_name(variant))

    def _convert(self, keys: Mapping[str, str]) -> None:
        """Have every variant's file: those of an earlier run with the same keys, and the child makes the others."""
        request, missing = self._request, {}
        for variant in request.variants:
            facts = self._work.finished(request.file_name(variant), keys[variant])
            if facts is None:
                missing[variant] = str(self._file(variant).absolute())
            else:
                self._facts |= facts
                self._progress.line(f"  {request.file_name(variant)}: was there")
        if not missing:
            return
        scratch = self._work.scratch()
        recipe = request.recipe.keys.input
        order = {
            "source": str(request.source.absolute()),
            "form": request.form,
            "size": recipe.size,
            "input": recipe.model_dump(mode="json"),
            "representative": None if request.representative is None else str(request.representative.absolute()),
            "samples": request.samples,
            "io_type": request.io_type,
            "variants": missing,
            "prove": "source_difference" not in self._facts,
            "work": str(scratch.absolute()),
        }

        def hear(message: job.Message) -> None:
            self._hear(message, keys)

        try:
            job.run(self._python.path, order, self._work.log, scratch, hear)
        except job.Failed as failed:
            for line in failed.log:
                self._progress.line(f"  {line}")
            raise failed.error from failed

    def _hear(self, message: job.Message, keys: Mapping[str, str]) -> None:
        if "stage" in message:
            self._progress.step(message["stage"])
        elif "of" in message:
            self._progress.tell(message["done"], message["of"])
        elif "facts" in message:
            self._facts |= message["facts"]
            self._progress.line(f"  {source_text(message['facts'])}")
        elif "source_difference" in message and "variant" not in message:
            self._facts |= message
        elif "variant" in message:
            variant = message["variant"]
            self._facts |= {key: value for key, value in message.items() if key not in ("variant", "bytes")}
            self._work.finish(self._request.file_name(variant), keys[variant], self._facts)
            text = f"  {self._request.file_name(variant)}: {decimal_size(message['bytes'])}"
            if message.get("source_difference") is not None:
                text += f", its outputs differ from the source's by {message['source_difference']:.1g} of the largest"
            self._progress.line(text)

    def _golden(self) -> list[dict[str, Any]]:
        """Record golden examples: what the float model finds in the pictures given, with some slack."""
        from visiond.modelkit.convert.golden import examples

        request = self._request
        if not request.golden:
            return []
        variant = request.variants[0]
        outcome = run(
            self._staging.folder,
            variant,
            self._file(variant),
            self._work.scratch(),
            request.threads,
            self._stage,
            request.golden,
        )
        names = [take_in(self._staging, n, picture) for n, picture in enumerate(request.golden, start=1)]
        return examples(request.recipe.keys.task, names, [each.result for each in outcome.runs])

    def _measure(self, rows: list[Measured]) -> tuple[list[Measured], list[str]]:
        """Prove the golden examples on what is shipped, and evaluate every variant where there is a dataset."""
        from visiond.modelkit.evaluation.measure import agreement

        request, scratch, failures, found = self._request, self._work.scratch(), [], []
        for row in rows:
            if request.dataset is None and row.variant != request.shipped:
                found.append(row)
                continue
            self._progress.step(f"evaluating {row.variant}" if request.dataset is not None else f"trying {row.variant}")
            file = self._file(row.variant)
            outcome = run(
                self._staging.folder, row.variant, file, scratch, request.threads, self._stage, (), request.dataset
            )
            if row.variant == request.shipped and outcome.opened is not None:
                failures += [f"{row.variant} does not reproduce {text}" for text in outcome.opened.golden_failures]
            found.append(replace(row, evaluation=outcome.evaluation))
        first = found[0].evaluation
        if first is not None and found[0].variant == "float32":
            found = [replace(each, agreement=agreement(each.evaluation, first)) for each in found if each.evaluation]
        return found, failures

    def _stage(self, _: str, done: int, of: int) -> None:
        self._progress.tell(done, of)

    def _remarks(self, rows: Sequence[Measured], golden: int) -> list[str]:
        found = [
            f"{row.file}: {row.float_operators} operators still compute with float numbers, which an Edge TPU "
            "leaves to the CPU; `visiond models inspect` names them"
            for row in rows
            if row.variant == "int8" and row.float_operators
        ]
        if self._facts["source_difference"] is None:
            found.append(
                "the outputs of a float32 file do not pair with the source's in number and shape: nothing shows that "
                "it computes the same; compare them with `visiond models verify --reference`, or by --evaluate"
            )
        calibrated = self._facts["pictures"]
        if "int8" in self._request.variants and calibrated < _FEW_PICTURES and not self._facts["fake_quantized"]:
            found.append(
                f"int8 found its ranges on {calibrated} pictures, which may lack what the camera will see; give some "
                "hundred with --representative"
            )
        given = len(self._request.golden)
        if golden < given:
            found.append(
                f"{given - golden} of {given} --golden pictures show nothing clear with a label, or are of a task that "
                "`visiond models verify --record` records; they are left out"
            )
        return found
