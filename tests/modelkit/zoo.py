"""A small catalogue for tests: one model with two files and labels, and a mirror that has them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from modelkit.mirror import Mirror
from visiond.modelkit.catalogue import Catalogue, load_catalogue
from visiond.modelkit.fetch.order import Order
from visiond.modelkit.fetch.origin import Web
from visiond.modelkit.fetch.progress import Progress
from visiond.modelkit.fetch.web import Patience

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = bytes(range(256)) * 800  # 200 KiB
TWIN = MODEL[::-1]
LABELS = b"cat\ndog\n"
FILES = {"model.tflite": MODEL, "model_edgetpu.tflite": TWIN, "labels.txt": LABELS}
FAST = Patience(silence_s=0.3, least_bytes=4096, tries=3, pause_s=0.01)


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Zoo:
    """The catalogue's file, and where its model is fetched to."""

    path: Path
    parent: Path
    mirror: Mirror

    @property
    def target(self) -> Path:
        return self.parent / "pets"

    @property
    def staging(self) -> Path:
        return self.parent / ".pets.fetching"

    def catalogue(self) -> Catalogue:
        return load_catalogue(self.path)

    def fetch(self, patience: Patience = FAST, out: io.StringIO | None = None) -> Path:
        """Fetch the model from the mirror; raises what the command line would print."""
        catalogue = self.catalogue()
        entry = catalogue.entry("pets")
        order = Order("pets", entry, catalogue.address(entry), self.parent)
        with Progress(out or io.StringIO()) as progress:
            return order.carry_out(Web(self.mirror.address, patience), progress)

    def command(self, *more: str) -> list[str]:
        return ["models", "fetch", "pets", "--to", str(self.parent), "--catalogue", str(self.path), *more]

    def is_whole(self) -> bool:
        return {path.name: path.read_bytes() for path in self.target.iterdir() if path.name != "model.yaml"} == FILES


def write_catalogue(path: Path, address: str, with_sizes: bool = True) -> None:
    """`with_sizes`: false leaves the sizes out, as they are not known of some public files."""

    def size(content: bytes) -> str:
        return f"bytes: {len(content)}, " if with_sizes else ""

    path.write_text(
        f"""
sources:
  here: {{address: "{address}{COMMIT}/"}}
models:
  pets:
    source: here
    task: classification
    about: cats and dogs
    license: Apache-2.0
    files:
      cpu: {{path: model.tflite, {size(MODEL)}sha256: "{hashlib.sha256(MODEL).hexdigest()}"}}
      edgetpu: {{path: model_edgetpu.tflite, {size(TWIN)}git_blob: "{git_blob(TWIN)}"}}
    labels:
      file: {{path: labels.txt, {size(LABELS)}git_blob: "{git_blob(LABELS)}"}}
    input: {{mean: [128, 128, 128], std: [128, 128, 128]}}
    output: {{decoder: scores}}
"""
    )
