"""The child that converts one model: the order on the command line, messages as JSON lines, all else into the log.

Messages: {stage}; {facts} of the source; {done, of} pictures while it calibrates; {variant, bytes, …} for each file
that is finished; {failed, code, show_log} with a sentence. job.py starts it.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Carry out the order; what a user can mend is a message and never a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    from visiond.doctor.child_side import begin
    from visiond.errors import VisiondError

    order, tell = begin()
    from visiond.modelkit.convert.child.conversion import Conversion
    from visiond.modelkit.convert.child.tflite import Unexplained

    try:
        Conversion(order, tell).carry_out()
    except VisiondError as error:
        tell(failed=str(error), code=error.exit_code, show_log=isinstance(error, Unexplained))
    except MemoryError:
        tell(failed="there is not enough memory for this model; close other programs, or convert it elsewhere", code=69)
    except OSError as error:
        from pathlib import Path

        from visiond.modelkit.fetch.part_file import cannot_write

        refused = cannot_write(Path(error.filename or order["work"]), error)
        tell(failed=str(refused), code=refused.exit_code)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
