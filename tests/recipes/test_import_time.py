"""What a recipe does not need at its start is imported when it is."""

from __future__ import annotations

import subprocess
import sys

from cmgems.recipes import find_recipe


def test_pretrain_starts_without_matplotlib():
    code = (
        "import sys; from pathlib import Path; from cmgems.recipes import load_recipe; "
        "load_recipe(Path(sys.argv[1])); sys.exit('matplotlib' in sys.modules)"
    )
    path = find_recipe("pretrain")
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0
