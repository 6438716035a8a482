"""cmgems: pretrain and fine-tune gene transformers with PMI curriculum masking.

    model = cmgems.load("runs/logo")
    model.embed(["ACGTACGTTGCA"])

docs/python.md shows the rest. Names are imported when they are first used, so that ``import cmgems`` takes no time;
``__init__.pyi`` tells their types.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_HOMES = {
    "CmgemsError": "cmgems.errors",
    "GenomeStore": "cmgems.genome",
    "Model": "cmgems.inference",
    "PMITable": "cmgems.pmi",
    "discover_motifs": "cmgems.motifs",
    "load": "cmgems.api",
    "mask_preview": "cmgems.masking.preview",
    "run": "cmgems.api",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cmgems' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
