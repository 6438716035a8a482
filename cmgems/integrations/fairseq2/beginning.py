"""What a run began with, which its checkpoints hold, and which must be the same when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmgems.config import changed_inputs, config_dict, config_difference, contents
from cmgems.errors import CheckpointError


@dataclass(frozen=True)
class Beginning:
    """A run's data and seed.

    Attributes:
        settings: A checked config of the data set; what the files hold that it names counts, not where they are.
        seed: fairseq2's `common.seed`.
    """

    settings: Any
    seed: int

    def state_dict(self) -> dict[str, object]:
        """As plain values."""
        return {
            "seed": self.seed,
            "settings": config_dict(self.settings),
            "inputs": contents(self.settings),
        }

    def check(self, state: Mapping[str, Any]) -> None:
        """Compare with the ``state_dict`` in a checkpoint.

        Raises:
            CheckpointError: if that run began with other data, settings or seed.
        """
        now = contents(self.settings)
        changed = changed_inputs(state["inputs"], now)
        difference = config_difference(self.settings, state["settings"], state["inputs"].keys() & now.keys())
        if state["seed"] != self.seed:
            difference = f"`common.seed` is {state['seed']} there, {self.seed} here"
        if changed or difference:
            raise CheckpointError(
                "this run began with other data",
                where="dataset",
                why=difference or f"{' and '.join(changed)} hold something else now",
                fix="bring that back, or choose another output folder",
            )
