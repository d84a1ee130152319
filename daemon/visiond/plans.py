"""From the configuration's models to the plans of the engines: what each package has, and its policy allows."""

from __future__ import annotations

from collections.abc import Mapping

from visiond.config import Config, Model
from visiond.edgetpu.device_name import parse_devices
from visiond.engine.accelerator import EdgeTpuSettings
from visiond.engine.model_plan import ModelPlan
from visiond.messages import LoadModel
from visiond.modelkit.package import Package


def plan_models(config: Config, packages: Mapping[str, Package]) -> list[ModelPlan]:
    """How each model is to run, from what its package has and its policy allows."""
    plans = []
    for name, package in packages.items():
        settings = config.models[name]

        def load(file: str, name: str = name, settings: Model = settings) -> LoadModel:
            folder = str(packages[name].folder)
            scores = settings.min_score, settings.max_objects
            # ONNX Runtime is the CPU's: the stick takes what fits it.
            runtime = "auto" if file == "edgetpu" and settings.runtime == "onnx" else settings.runtime
            return LoadModel(name, folder, file, settings.threads, *scores, runtime=runtime)

        on_tpu = settings.accelerator != "never" and package.files.edgetpu is not None
        cpu_file = package.cpu_file(settings.runtime)
        on_cpu = settings.accelerator != "required" and cpu_file is not None
        plans.append(
            ModelPlan(
                name=name,
                accelerator=settings.accelerator,
                edgetpu=load("edgetpu") if on_tpu else None,
                cpu=load(cpu_file) if on_cpu and cpu_file is not None else None,
                devices=parse_devices(settings.device),
                warm=settings.standby == "warm",
                max_rss_mb=settings.max_rss_mb,
                identity=package.identity,
                cameras=tuple(camera for camera, its in config.cameras.items() if its.model == name),
            )
        )
    return plans


def edgetpu_settings(config: Config) -> EdgeTpuSettings:
    """The configuration's section as the plain values that the engines take."""
    given = config.edgetpu
    return EdgeTpuSettings(given.library, given.performance, given.usb.given, given.reset, given.sysfs, given.dev)
