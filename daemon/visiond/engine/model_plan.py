"""ModelPlan: how one model is to run, in plain values, and what of it a running engine must be started anew for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from visiond.edgetpu.device_name import DeviceName
from visiond.messages import LoadModel


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """How one model is to run: `edgetpu` and `cpu` are what its package has a file for and its policy allows.

    `identity` changes when the package's files do.
    """

    name: str
    accelerator: str
    edgetpu: LoadModel | None
    cpu: LoadModel | None
    devices: tuple[DeviceName, ...]
    warm: bool
    max_rss_mb: float
    cameras: tuple[str, ...]
    identity: str = ""

    @property
    def on_stick(self) -> object:
        """What a stick's process must be started anew for, when it has changed."""
        return self.identity, self.edgetpu, self.max_rss_mb

    @property
    def on_cpu(self) -> object:
        """What the CPU's process must be started anew for."""
        return self.identity, self.cpu, self.max_rss_mb

    def engines_like(self, other: ModelPlan) -> bool:
        """Whether it is to be run in the same way; which cameras it sees is another matter."""
        return replace(self, cameras=()) == replace(other, cameras=())
