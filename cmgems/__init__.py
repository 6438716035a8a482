"""cmgems: pretrain and fine-tune gene transformers with PMI curriculum masking.

    model = cmgems.load("runs/logo")
    model.embed(["ACGTACGTTGCA"])

docs/python.md shows the rest. Names are imported when they are first used, so that ``import cmgems`` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmgems.api import load, run
    from cmgems.errors import CmgemsError
    from cmgems.genome import GenomeStore
    from cmgems.inference import Model
    from cmgems.masking.preview import mask_preview
    from cmgems.motifs import discover_motifs
    from cmgems.pmi import PMITable

__version__ = "0.2.0"

__all__ = [
    "CmgemsError",
    "GenomeStore",
    "Model",
    "PMITable",
    "discover_motifs",
    "load",
    "mask_preview",
    "run",
]

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cmgems' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
