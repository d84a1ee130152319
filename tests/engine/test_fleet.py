"""Fleet: which engines there are for a configuration's plans, and under which numbers they read."""

import asyncio
from pathlib import Path

from visiond.edgetpu.device_name import parse_devices
from visiond.engine.accelerator import EdgeTpuSettings
from visiond.engine.fleet import Fleet, Staffing
from visiond.engine.model_plan import ModelPlan
from visiond.engine.remote import RemoteEngine
from visiond.messages import LoadModel


def plan(name: str, devices: str, threads: int = 1) -> ModelPlan:
    def load(file: str) -> LoadModel:
        return LoadModel(name, f"/packages/{name}", file, threads, 0.5, 100)

    return ModelPlan(name, "prefer", load("edgetpu"), load("cpu"), parse_devices(devices), True, 512, ("front",))


class Bench:
    """A fleet whose engines are never started."""

    def __init__(self, tmp_path: Path) -> None:
        self.come: list[RemoteEngine] = []
        self.gone: list[RemoteEngine] = []
        self.settings = EdgeTpuSettings(sysfs=tmp_path, dev=tmp_path)
        self.fleet = Fleet(
            Staffing(self.come.append, self.gone.append),
            ring=lambda _: None,
            on_outcome=lambda *_: None,
            on_lost=lambda _: None,
            on_new_epoch=lambda _: None,
            on_change=lambda: None,
        )

    def apply(self, *plans: ModelPlan) -> None:
        self.fleet.apply(plans, self.settings, 30)


def test_engines_that_may_read_one_ring_have_numbers_of_their_own(tmp_path: Path) -> None:
    """Else the end of one would free, and count as lost, what another one holds."""

    async def scenario() -> None:
        bench = Bench(tmp_path)
        bench.apply(plan("cats", "usb:0,usb:1,usb:2"), plan("dogs", "usb:1,usb:3"))
        for changed in (1, 2, 3):
            for model in bench.fleet.models.values():
                readers = [engine.reader for engine in model.readers]
                assert len(set(readers)) == len(readers)
            bench.apply(plan("cats", "usb:0,usb:1,usb:2", changed), plan("dogs", "usb:1,usb:3", changed))

    asyncio.run(scenario())


def test_reloads_in_a_row_find_no_number_until_the_engines_before_have_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        changes = [(plan("cats", "usb:0,usb:1", threads), plan("dogs", "usb:1", threads)) for threads in range(1, 20)]
        for plans in changes:
            if not bench.fleet.has_room(plans):
                bench.fleet.check(lambda _: 0)  # here they have ended at once
                assert bench.fleet.has_room(plans)
            bench.apply(*plans)
            assert not any(engine in bench.gone for engine in bench.fleet.engines)

    asyncio.run(scenario())


def test_what_has_not_changed_stays_and_what_has_gone_leaves(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        cats, dogs = plan("cats", "usb:0"), plan("dogs", "usb:1")
        bench.apply(cats, dogs)
        kept = bench.fleet.models["cats"]
        assert len(bench.come) == 4
        bench.apply(cats)
        assert bench.fleet.models == {"cats": kept}
        bench.fleet.check(lambda _: 0)
        assert [engine.name for engine in bench.gone] == ["usb:1", "dogs on the CPU"]
        assert len(bench.come) == 4, "nothing was made anew"

    asyncio.run(scenario())


def test_models_of_one_stick_share_its_engine(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        bench.apply(plan("cats", "usb"), plan("dogs", "usb:0"))
        (accelerator,) = bench.fleet.accelerators
        assert accelerator.engine is not None
        assert sorted(accelerator.engine.models) == ["cats", "dogs"]

    asyncio.run(scenario())
