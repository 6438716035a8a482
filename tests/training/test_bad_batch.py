from __future__ import annotations

import numpy as np
import pytest
from safetensors import safe_open

from cmgems.distributed import World
from cmgems.errors import CmgemsError
from cmgems.training import TroubleConfig, Watch, stop_if_diverged

CONFIG = TroubleConfig()


def test_stop_saves_the_batch(tmp_path, batch_of):
    watch, batch = Watch(skipped=1, in_a_row=1), batch_of(4, 16)
    with pytest.raises(CmgemsError) as stopped:
        stop_if_diverged(watch, CONFIG, batch, 8, tmp_path, 7, World(rank=1, size=2))
    path = tmp_path / "bad_batch" / "step_00000007_rank_1.safetensors"
    assert stopped.value.line() == (
        f"the loss or its gradient is not finite at step 7: the batch is saved in {path}; go on with "
        "trouble.nonfinite=skip, or start again with a lower optim.lr or compute.precision=fp32 and another -o"
    )
    with safe_open(path, "numpy") as saved:
        assert saved.metadata() == {"step": "7", "strategy": "genemask"}
        for name in ("ids_BS", "attention_BS", "positions_M", "labels_M"):
            np.testing.assert_array_equal(saved.get_tensor(name), getattr(batch, name))
        # Steps 1 to 6 took 8 each; rank 1 has every second row.
        assert saved.get_tensor("samples_B").tolist() == [49, 51, 53, 55]


def test_skip_goes_on_until_patience_is_lost(tmp_path, batch_of):
    config, batch = TroubleConfig(nonfinite="skip", patience=3), batch_of(2, 8)
    for in_a_row in (0, 1, 2):
        stop_if_diverged(Watch(in_a_row=in_a_row), config, batch, 2, tmp_path, 7, World())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CmgemsError, match="at step 7, and at the 2 steps before it") as stopped:
        stop_if_diverged(Watch(in_a_row=3), config, batch, 2, tmp_path, 7, World())
    assert "nonfinite=skip" not in stopped.value.line()
