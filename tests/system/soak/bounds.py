"""What must hold. Times are those of a machine that does little else; SLACK (./run) multiplies them for a busy one."""

from __future__ import annotations

import os
from typing import Final

SLACK: Final = float(os.environ.get("SLACK") or 1)

SEEN_S: Final = 10.0 * SLACK  # until a fault shows
WELL_S: Final = 10.0 * SLACK  # until all is as it was, from the moment when the cause is mended
REBORN_WELL_S: Final = 20.0 * SLACK  # the same after a death of the parent: every process is started anew
BLIND_S: Final = 2.5 * SLACK  # so long may a camera be silent that a fault does not concern; 1 s in the fault table
STALE_MS: Final = 1000.0 + 500.0 * SLACK  # age of a result when it is published: max_age_ms, and what scheduling adds
BACK_S: Final = 5.0 * SLACK  # from a death to the first detection of the next life: nine processes on two processors
STOP_S: Final = 2.0 * SLACK  # an orderly end
WATCHDOG_S: Final = 13.0 + BACK_S  # WatchdogSec and TimeoutAbortSec
ORPHANS_S: Final = 1.0 * SLACK  # until every process of a dead parent has gone

PENDING: Final = 6  # frames of one camera that may be on their way at a moment
BEHIND: Final = 3  # results between a status and the detections around it
WARM_S: Final = 240.0  # until everything that is made once, or grows to its size, has done so
GROWN_MB: Final = 2.0  # RSS of the parent from then on; a shorter soak has only the ceiling
MOST_RSS_MB: Final = 48.0  # of the parent, at any time
MORE_THREADS: Final = 2  # asyncio's own, which read configurations
