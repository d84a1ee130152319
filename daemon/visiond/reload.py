"""What differs between two configurations, in the words that a technician is told. Pure, it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from visiond.config import Camera, Config
from visiond.modelkit.package import Package

# A camera whose other keys change goes on: they are read for each frame.
WORKER_KEYS: Final = ("source", "size", "fps", "rotate")


@dataclass(frozen=True, slots=True)
class Report:
    """What a reload has done: a sentence for each thing. `refused` alone means that the old configuration goes on."""

    applied: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether nothing was taken over."""
        return bool(self.refused) and not self.applied and not self.restarted

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the control socket."""
        return {"applied": list(self.applied), "restarted": list(self.restarted), "refused": list(self.refused)}


def compare(
    old: Config, new: Config, old_packages: Mapping[str, Package], new_packages: Mapping[str, Package]
) -> Report:
    """Say what will be applied while everything runs, what is started anew for it, and what needs a new start."""
    applied: list[str] = []
    restarted: list[str] = []
    refused: list[str] = []
    if old.socket != new.socket:
        refused.append("socket: clients are connected to the old one; it takes effect at the next start")
    for name in sorted(old.cameras.keys() | new.cameras.keys()):
        _compare_camera(name, old.cameras.get(name), new.cameras.get(name), applied, restarted)
    for name in sorted(old_packages.keys() | new_packages.keys()):
        if name not in new_packages:
            applied.append(f"model {name}: ended, no camera uses it any more")
        elif name not in old_packages:
            restarted.append(f"model {name}: started")
        else:
            keys = _changed(old.models[name], new.models[name])
            if old_packages[name].identity != new_packages[name].identity:
                keys.append("its package's files")
            if keys:
                restarted.append(f"model {name}: started anew for {', '.join(keys)}")
    if keys := _changed(old.edgetpu, new.edgetpu):
        restarted.append(f"edgetpu: its processes are started anew for {', '.join(keys)}")
    if old.reload_trial_s != new.reload_trial_s:
        applied.append("reload_trial_s")
    return Report(tuple(applied), tuple(restarted), tuple(refused))


def _compare_camera(
    name: str, old: Camera | None, new: Camera | None, applied: list[str], restarted: list[str]
) -> None:
    if old is None or new is None:
        (restarted if old is None else applied).append(f"camera {name}: {'started' if old is None else 'ended'}")
        return
    keys = _changed(old, new)
    anew = [key for key in keys if key in WORKER_KEYS]
    at_once = [key for key in keys if key not in WORKER_KEYS]
    if anew:
        restarted.append(f"camera {name}: started anew for {', '.join(anew)}")
    if at_once:
        applied.append(f"camera {name}: {', '.join(at_once)}")


def _changed(old: Any, new: Any) -> list[str]:
    """Return the keys of a section whose values differ."""
    return [key for key in type(new).model_fields if getattr(old, key) != getattr(new, key)]
