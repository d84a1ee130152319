"""A Python that says it has TensorFlow, and in whose hands every model becomes models/shapes: for tests without it.

What the child really does is tested in tests/convert; here it is what the parent makes of its messages, or of its end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_SCRIPT = """#!{python}
import json, os, shutil, signal, sys, time
behaviour = {behaviour!r}
if sys.argv[1] != "-P":  # which versions does it have?
    print(json.dumps(dict.fromkeys([*sys.argv[3:], "python"], "9")))
    sys.exit()
order = json.loads(sys.argv[5])
def tell(**fields):
    print(json.dumps(fields), flush=True)
with open({orders!r}, "a") as kept:
    kept.write(sys.argv[5] + "\\n")
print("chatter of a native library", file=sys.stderr)
tell(stage="reading the model")
tell(facts=dict(kind="stand-in", shape=[1, 144, 192, 3], weights=100, zeros=25, fake_quantized=0, pictures=3))
if order["prove"]:
    tell(source_difference=None if behaviour == "unpaired" else 1e-7)
for count, (variant, file) in enumerate(order["variants"].items()):
    tell(stage="converting to " + variant)
    tell(done=1, of=3)
    if behaviour == "abort" and count == 1:
        os.abort()
    if behaviour == "kill" and count == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "refuse" and count == 1:
        tell(failed="the model has a fault; mend it", code=65)
        sys.exit()
    if behaviour == "wait" and count == 1:
        signal.pause()
    shutil.copyfile({model!r}, file)
    tell(variant=variant, bytes=os.path.getsize(file))
"""


class StandIn:
    """`path` is the interpreter for VISIOND_CONVERT_PYTHON; `orders` are those that it has got."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.path = folder / "python-with-everything"
        self._kept = folder / "orders.jsonl"
        self._model = model
        self.behave("finish")

    def behave(self, behaviour: str) -> None:
        """From now on: finish, or after the first variant abort, kill (itself), refuse, wait (for ever).

        unpaired: its outputs cannot be compared with the source's.
        """
        self.path.write_text(
            _SCRIPT.format(python=sys.executable, behaviour=behaviour, orders=str(self._kept), model=str(self._model))
        )
        self.path.chmod(0o755)

    @property
    def orders(self) -> list[dict[str, object]]:
        """What it was asked for, one order a run."""
        if not self._kept.exists():
            return []
        return [json.loads(line) for line in self._kept.read_text().splitlines()]
