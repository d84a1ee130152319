"""`visiond models convert`: from a request to a package in its place, and a table of what it is worth."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from visiond.errors import NoInputError, UsageError, VisiondError
from visiond.modelkit.convert.assembly import Assembly
from visiond.modelkit.convert.environment import find_python
from visiond.modelkit.convert.progress import Progress
from visiond.modelkit.convert.request import Request
from visiond.modelkit.convert.work import Work
from visiond.modelkit.fetch.part_file import cannot_write
from visiond.modelkit.fetch.staging import Staging

if TYPE_CHECKING:
    from visiond.modelkit.evaluation.dataset import Dataset


def convert(request: Request, to_json: bool, out: TextIO, err: TextIO) -> int:
    """Convert, measure, and place the package; return 0. Raises a VisiondError, and then nothing has changed there.

    What is finished by then waits beside it, and the same command goes on there.
    """
    dataset = _check(request)
    python = find_python()
    try:
        with Staging(request.parent, request.name, "convert") as staging, Progress(err) as progress:
            try:
                outcome = Assembly(request, python, staging, progress).carry_out(dataset)
            except KeyboardInterrupt:
                progress.line("interrupted; what is finished is kept, and the same command goes on there")
                raise
            except VisiondError:
                if Work(staging.folder).has_finished():
                    kept = f"what is finished is kept in {staging.folder}"
                    progress.line(f"{kept}; once the cause is mended, the same command goes on there")
                raise
            finally:
                if staging.folder.exists():
                    Work(staging.folder).clear()
    except OSError as error:
        raise cannot_write(Path(error.filename or request.target), error) from error
    if to_json:
        print(json.dumps(outcome.to_json(), allow_nan=False), file=out)
    else:
        outcome.print(out)
    return 0


def _check(request: Request) -> Dataset | None:
    """Raise what is wrong before anything long begins; return what is to be evaluated on."""
    if os.path.lexists(request.target) and not request.replace:
        raise UsageError(f"{request.target} is there already; give another --name or --to, or --replace")
    if request.representative is not None and not request.representative.is_dir():
        raise NoInputError(
            f"--representative {request.representative} is no folder; give one with pictures like the camera's"
        )
    if request.golden and request.recipe.labels is None:
        raise UsageError(
            "--golden: a golden example names what is seen, and no class has a name; give --labels FILE, or `labels` "
            "in --recipe"
        )
    for picture in request.golden:
        if not picture.is_file():
            raise NoInputError(f"--golden {picture} does not exist; give pictures in which the model finds something")
    if request.dataset is None:
        return None
    from visiond.modelkit.evaluation.dataset import load_dataset

    return load_dataset(request.dataset, request.recipe.load_labels(), request.recipe.keys.task)
