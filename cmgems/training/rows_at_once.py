"""How many sequences of a step go through the model at once: the machine's business, which changes no result.

The masks and the order of a step's sequences are fixed before it is cut (``cmgems.masking.micro_batches``), so a run
may go on with another number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cmgems.distributed import ALONE, World
from cmgems.errors import CmgemsError
from cmgems.training.compute import Compute
from cmgems.training.memory import TooManyRowsError, halved

T = TypeVar("T")

# Tokens that go through a model at once on a CPU: more are no faster, and take more memory.
CPU_TOKENS = 5120


class RowsAtOnce:
    """How many rows go through the model at once: as set, or half as many after each time that memory was short.

    Several processes wait for each other in the middle of a step, so there memory that is short ends the run.

    Args:
        compute: Has ``micro_batch``.
        most: Rows to begin with if it is not set.
        world: This process' place.

    Attributes:
        rows: The number now.
    """

    def __init__(self, compute: Compute, most: int, world: World = ALONE) -> None:
        self.rows = compute.micro_batch or most
        self._fixed = compute.micro_batch is not None or world.size > 1

    @classmethod
    def of_tokens(cls, compute: Compute, rows: int, tokens: int, world: World = ALONE) -> RowsAtOnce:
        """For at most ``rows`` rows of at most ``tokens`` tokens: all of them on a GPU, few on a CPU."""
        few = max(1, CPU_TOKENS // tokens)
        return cls(compute, min(rows, few) if compute.device.type == "cpu" else rows, world)

    def attempt(self, take: Callable[[int], T], what: str) -> T:
        """``take(rows)``, again with half the rows while memory is short.

        Args:
            take: Runs its forward and backward passes in ``cmgems.training.memory.passes``.
            what: What it does, for the message ("250 x 512 tokens").

        Raises:
            CmgemsError: if memory is short even for one row, or the number is set.
        """
        while True:
            try:
                return take(self.rows)
            except TooManyRowsError as error:
                if self._fixed or self.rows == 1:
                    raise self._too_little(error, what) from error
            self.rows = halved(self.rows, "sequences")

    def _too_little(self, error: TooManyRowsError, what: str) -> CmgemsError:
        fix = "set compute.recompute=true, shorten the sequences or choose a smaller model"
        if self.rows > 1:
            fix = f"set compute.micro_batch={self.rows // 2}, which changes no result"
        return CmgemsError("out of memory", where=f"{self.rows} of {what}", why=str(error), fix=fix)
