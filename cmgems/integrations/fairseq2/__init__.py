"""A plugin for fairseq2: models, tokenizers and masked genome data, under names that its configs and cards can use.

fairseq2 calls ``setup_fairseq2`` whenever it starts, also for people who never use cmgems. So this module imports
nothing that takes time; each component is imported when its name is first used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from cmgems import errors
from cmgems.errors import CmgemsError
from cmgems.plugins import load_plugins

SUPPORTED = "0.8"  # fairseq2 promises nothing from one minor version to the next
MODEL_FAMILIES = (
    "cmgems_bert",
    "cmgems_dnabert2",
    "cmgems_nt_v1",
    "cmgems_nt_v2",
    "cmgems_modernbert",
    "cmgems_plugin",
    "cmgems_classifier",
)
TOKENIZER_FAMILY = "cmgems"
DATASET_FAMILIES = ("cmgems_masked_genome", "cmgems_labelled")


# Each of fairseq2's classes that are found by name, the names, and the function of this package that makes one of them.
KINDS = (
    ("fairseq2.models", "ModelFamily", MODEL_FAMILIES, "models", "model_family"),
    ("fairseq2.models.hg", "HuggingFaceConverter", MODEL_FAMILIES, "models", "huggingface_converter"),
    ("fairseq2.data.tokenizers", "TokenizerFamily", (TOKENIZER_FAMILY,), "tokenizers", "tokenizer_family"),
    ("fairseq2.datasets", "DatasetFamily", DATASET_FAMILIES, "datasets", "dataset_family"),
)


def setup_fairseq2(container: Any) -> None:
    """Register everything with fairseq2's ``DependencyContainer``, by name; the entry point ``fairseq2.extension``.

    It never fails: what another version of fairseq2 does not have is left out.
    """
    for theirs, kind, names, ours, function in KINDS:
        with suppress(ImportError, AttributeError, TypeError):
            _register(container, getattr(import_module(theirs), kind), names, ours, function)
    with suppress(ImportError, AttributeError, TypeError):
        _register_cards(container)
        if "fairseq2.recipe.cli" in sys.modules:
            _register_errors(container)


def _register(container: Any, kind: type, names: tuple[str, ...], module: str, function: str) -> None:
    def provider(name: str) -> Callable[[Any], Any]:
        return lambda resolver: getattr(_home(module), function)(resolver, name)

    for name in names:
        container.register(kind, provider(name), key=name)


def _register_cards(container: Any) -> None:
    from fairseq2.composition import register_package_assets

    register_package_assets(container, f"{__name__}.cards")


def _home(module: str) -> Any:
    """A module of this package, imported now; plugins of cmgems before it.

    Raises:
        CmgemsError: if fairseq2 is of a version that the module is not written for, or a plugin fails.
    """
    import fairseq2

    if fairseq2.__version__.split(".")[:2] != SUPPORTED.split("."):
        raise CmgemsError(
            "another version of fairseq2",
            where=f"fairseq2 {fairseq2.__version__}",
            why=f"this version of cmgems is written for {SUPPORTED}",
            fix=f"pip install 'fairseq2=={SUPPORTED}.*', or another version of cmgems",
        )
    load_plugins()
    return import_module(f"{__name__}.{module}")


def _register_errors(container: Any) -> None:
    """Let fairseq2's command line show a user's mistake as one line; it looks handlers up by the exact class."""
    from fairseq2.logging import log
    from fairseq2.recipe import register_cli_error

    def show(ex: CmgemsError) -> int:
        log.error("{}", ex.line())
        return ex.exit_code

    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, CmgemsError):
            register_cli_error(container, kind, show)
