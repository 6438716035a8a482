"""A few steps under PyTorch's profiler: a trace for chrome://tracing or Perfetto, and the costliest operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from cmgems.files import atomic_path, write_text
from cmgems.runs.layout import PROFILE_TABLE, PROFILE_TRACE

# Steps before the profiled ones: compilation, allocation, and one under the profiler that is thrown away.
WARM_UP = 3
ROWS = 15


@contextmanager
def profiled(steps: int | None, folder: Path, note: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Yields what to call after each step; ``steps`` of them, after a few, are profiled.

    Args:
        steps: How many; None for none.
        folder: Gets ``profile.json.gz`` and ``profile.txt``.
        note: Says where they are.
    """
    if steps is None:
        yield lambda: None
        return
    on_gpu = torch.cuda.is_available()

    def write(finished: profile) -> None:
        # The trace is compressed because of the partial name's suffix, .gz.
        with atomic_path(folder / PROFILE_TRACE) as partial:
            finished.export_chrome_trace(str(partial))
        key = f"self_{'device' if on_gpu else 'cpu'}_time_total"
        write_text(folder / PROFILE_TABLE, finished.key_averages().table(sort_by=key, row_limit=ROWS))
        done = min(steps, finished.step_num - WARM_UP)  # a short run ends before
        note(
            f"profiled {done} steps: {folder / PROFILE_TRACE}, the costliest operations in {folder / PROFILE_TABLE}"
        )

    with profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])],
        schedule=schedule(wait=WARM_UP - 1, warmup=1, active=steps, repeat=1),
        on_trace_ready=write,
        record_shapes=True,
    ) as running:
        yield running.step
