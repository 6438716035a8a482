"""fairseq2's own code, with a stub of its native part, which these tests do not need."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

STUB = Path(__file__).parent / "stub"


def _stub_native_part() -> bool:
    """Whether fairseq2 can be imported, with the stub where its native part is not installed."""
    from importlib.util import find_spec

    if find_spec("fairseq2") is None:
        return False
    if find_spec("fairseq2n") is None:
        sys.path.append(str(STUB))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(STUB)]))
    return True


HAS_FAIRSEQ2 = _stub_native_part()
collect_ignore = [] if HAS_FAIRSEQ2 else ["fairseq2"]


@pytest.fixture(scope="session")
def resolver():
    """fairseq2, started with our plugin, which it finds by the entry point."""
    from fairseq2 import init_fairseq2

    return init_fairseq2(no_progress=True)
