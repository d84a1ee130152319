"""The soak: a fault of another kind every few seconds, first those that the parent survives, then those that end it.

LENGTH_S, EVERY_S, SEED and ONLY come from ./run. Exit code 1 where a bound was broken; each is told when it breaks.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from system.soak import bounds, device, pests
from system.soak.deaths import DEATHS, die
from system.soak.faults import FAULTS, Fault, in_words
from system.soak.record import Record, Rest
from system.soak.stage import NotSeen, Stage, prepare, start
from system.soak.stage import in_words as status_in_words

T = TypeVar("T")
WITNESSES: Final = 3
SURVIVED: Final = 0.8  # of the time is for faults that the parent survives
REST_EVERY_S: Final = 60.0


class Soak:
    """The stage, who is on it, and what came of each fault."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.record = Record()
        self.stage = Stage()
        self.pests: Sequence[pests.Pest] = ()

    def run(self, length_s: float, every_s: float, only: str) -> int:
        prepare()
        start(self.stage, WITNESSES)
        self.pests = [kind(self.record.counts) for kind in (pests.Staller, pests.Passer, pests.Flooder)]
        began_s = time.monotonic()
        self.survive(began_s + SURVIVED * length_s, every_s, only)
        if not only:
            self.be_reborn(began_s + length_s, every_s)
        self.sum_up()
        return 1 if self.record.broken else 0

    # the first part

    def survive(self, end_s: float, every_s: float, only: str) -> None:
        """Faults in shuffled rounds, each kind once a round; the parent must be the same at the end."""
        parent, restarts = self.stage.parent, device.restarts()
        self.record.say(f"first part: the parent, {parent}, survives")
        self.rest()
        kinds = [fault for name, fault in FAULTS.items() if only in name]
        due_s = time.monotonic()
        for fault in self._shuffled(kinds):
            if time.monotonic() >= end_s:
                break
            self.play(fault)
            if time.monotonic() - self.record.rests[-1].at_s > REST_EVERY_S:
                self.rest()
            due_s = max(due_s + every_s, time.monotonic())
            time.sleep(max(0.0, min(due_s, end_s) - time.monotonic()))
        self.rest()
        if (self.stage.parent, device.restarts()) != (parent, restarts):
            self.record.fail(f"the parent was {parent} and is {self.stage.parent}; {device.restarts()} restarts")
        self._check_growth()
        self._check_accounts()

    def play(self, fault: Fault) -> None:
        """One fault: it must show, all must be well again in time, and cameras that it does not concern go on."""
        for witness in self.stage.witnesses:
            witness.listen_anew()
        began_s = time.monotonic()
        try:
            fault.strike(self.stage)
        except (NotSeen, OSError, subprocess.SubprocessError) as error:
            self.record.fail(f"{fault.name}: {in_words(error)}")
            self.stage.mend()
        mended_s = time.monotonic()
        if self.stage.witness.until(self.stage.is_well, bounds.WELL_S, mended_s) is None:
            words = status_in_words(self.stage.witness.status())
            self.record.fail(f"{fault.name}: not well within {bounds.WELL_S:g} s: {words}")
            if self.stage.witness.until(self.stage.is_well, 60) is None:
                raise SystemExit(f"{fault.name}: not well within a minute; the soak ends here")
        well_s = time.monotonic() - mended_s
        silences = [witness.silences_s() for witness in self.stage.witnesses]
        longest = {name: max(each.get(name, 0.0) for each in silences) for name in silences[0]}
        for name in longest.keys() - fault.dark:
            if longest[name] > bounds.BLIND_S:
                self.record.fail(
                    f"{fault.name}: {name}, which it does not concern, was silent for {longest[name]:.1f} s"
                )
        name = max(longest, key=lambda each: longest[each])
        self.record.well_s[fault.name].append(well_s)
        self.record.silent_s[fault.name].append(longest[name])
        self.record.counts["faults"] += 1
        self.record.say(
            f"{fault.name}: shown in {mended_s - began_s:.1f} s, well {well_s:.2f} s later; "
            f"{name} was silent for {longest[name]:.2f} s"
        )
        self._check_witnesses(fault.name)

    # the second part

    def be_reborn(self, end_s: float, every_s: float) -> None:
        """The parent's deaths in turn."""
        self.record.say("second part: the parent dies, and comes back")
        due_s = time.monotonic()
        for number, death in enumerate(self._again(DEATHS)):
            if time.monotonic() >= end_s and number >= 2:
                break
            try:
                back_s = die(self.stage, death)
            except NotSeen as error:
                self.record.fail(f"{death.name}: {error}")
                back_s = death.bound_s
            began_s = time.monotonic()
            if self.stage.witness.until(self.stage.is_well, bounds.REBORN_WELL_S, began_s) is None:
                self.record.fail(f"{death.name}: not well: {status_in_words(self.stage.witness.status())}")
            self.record.well_s[death.name].append(back_s)
            self.record.counts["deaths"] += 1
            self.record.say(
                f"{death.name}: detections after {back_s:.2f} s, well {time.monotonic() - began_s:.2f} s later"
            )
            self._check_witnesses(death.name)
            due_s = max(due_s + every_s, time.monotonic())
            time.sleep(max(0.0, min(due_s, end_s) - time.monotonic()))
        self.rest()
        self._check_accounts()

    # looking

    def rest(self) -> None:
        """Send the pests away, and look at the parent when it is at rest."""
        pests.pause(self.pests)
        stage, connected = self.stage, len(self.stage.witnesses)
        at_rest = stage.witness.until(
            lambda s: stage.is_well(s) and s["clients"]["connected"] == connected, 20, time.monotonic()
        )
        if at_rest is None:
            self.record.fail(
                f"not at rest: {stage.witness.status()['clients']}, {status_in_words(stage.witness.status())}"
            )
        parent = stage.parent
        workers = device.workers(parent)
        all_pss_mb = sum(device.held(pid).pss_mb for pid in (parent, *workers.values()))
        self.record.rests.append(
            Rest(
                time.monotonic(),
                self.record.counts["faults"],
                device.held(parent),
                1 + len(workers),
                all_pss_mb,
                stage.witness.status()["clients"]["connected"],
            )
        )
        rest = self.record.rests[-1]
        self.record.say(
            f"at rest: RSS {rest.parent.rss_mb:.2f} MB, {rest.parent.fds} descriptors, {rest.parent.threads} threads, "
            f"{rest.processes} processes of {rest.all_pss_mb:.0f} MB PSS"
        )
        pests.go_on(self.pests)

    def _check_growth(self) -> None:
        """Compare the first part's end with its beginning, and its memory with that when the parent was warm."""
        rests = self.record.rests
        first, last = rests[0], rests[-1]
        warm = next((rest for rest in rests if rest.at_s - first.at_s > bounds.WARM_S), None)
        if warm is not None:
            grown_mb, faults = last.parent.rss_mb - warm.parent.rss_mb, last.faults - warm.faults
            self.record.say(f"RSS of the parent: {grown_mb:+.2f} MB in the last {faults} faults")
            if grown_mb > bounds.GROWN_MB:
                self.record.fail(f"the parent has grown by {grown_mb:.2f} MB in the last {faults} faults")
        if (most_mb := max(rest.parent.rss_mb for rest in rests)) > bounds.MOST_RSS_MB:
            self.record.fail(f"the parent had {most_mb:.1f} MB")
        for what, most, now in (
            ("descriptors", first.parent.fds, last.parent.fds),
            ("threads", first.parent.threads + bounds.MORE_THREADS, last.parent.threads),
            ("processes", first.processes, last.processes),
        ):
            if now > most:
                self.record.fail(f"{what}: {now} at the end, {most} are allowed")

    def _check_accounts(self) -> None:
        """Every frame is accounted for, and every result of the engines was given to the witness a number."""
        pests.pause(self.pests)
        status = self.stage.until(self.stage.is_well, "well at the end")
        for name, camera in status["cameras"].items():
            accounted = camera["inferred"] + sum(camera["dropped"].values()) + camera["pending"]
            seq = self.stage.witness.seq[name]
            self.record.say(
                f"{name}: {camera['captured']} captured = {camera['inferred']} inferred + {camera['dropped']} dropped "
                f"+ {camera['pending']} pending; skipped {camera['skipped']}; the witness is at seq {seq}"
            )
            if camera["captured"] != accounted or not 0 <= camera["pending"] <= bounds.PENDING:
                self.record.fail(f"{name}: {camera['captured']} captured, {accounted} accounted for")
            if abs(seq - camera["inferred"]) > bounds.BEHIND:
                self.record.fail(f"{name}: {camera['inferred']} inferred, but the witness is at seq {seq}")
        pests.go_on(self.pests)

    def _check_witnesses(self, after: str) -> None:
        for witness in self.stage.witnesses:
            told, witness.faults = witness.faults, []
            for text in told[:5]:
                self.record.fail(f"{after}: {witness.name}: {text}")

    def sum_up(self) -> None:
        total: Counter[str] = Counter()
        for witness in self.stage.witnesses:
            total.update(witness.counts)
            witness.end()
        log = device.journal("--output=cat")
        tracebacks = log.count("Traceback (most recent call last)")
        if tracebacks:
            self.record.fail(f"{tracebacks} tracebacks in the journal")
        print(f"\n{self.record.table()}\n\n{self.record.rest_table()}\n")
        print(f"witnesses: {dict(total)}; lost without cause {total['lost']}, seq unexplained {total['unexplained']}")
        print(f"others: {dict(self.record.counts)}; lines in the journal: {log.count(chr(10))}")
        for text in self.record.broken:
            print(f"BROKEN: {text}")
        print("soak: " + (f"{len(self.record.broken)} bounds broken" if self.record.broken else "every bound held"))

    def _shuffled(self, kinds: Sequence[T]) -> Iterator[T]:
        while kinds:
            yield from self.random.sample(kinds, len(kinds))

    def _again(self, kinds: Sequence[T]) -> Iterator[T]:
        while True:
            yield from kinds


def main() -> int:
    length_s, every_s = float(os.environ["LENGTH_S"]), float(os.environ["EVERY_S"])
    only = os.environ.get("ONLY", "")
    seed = int(os.environ.get("SEED") or time.time_ns() % 1_000_000)
    print(f"soak: {length_s:g} s, a fault every {every_s:g} s; again in the same order: SEED={seed}", flush=True)
    return Soak(seed).run(length_s, every_s, only)


if __name__ == "__main__":
    sys.exit(main())
