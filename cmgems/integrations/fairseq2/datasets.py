"""Our data sets as dataset families of fairseq2."""

from __future__ import annotations

from typing import Any

from fairseq2.datasets import DatasetFamily, StandardDatasetFamily
from fairseq2.runtime.dependency import DependencyResolver, wire_object

from cmgems.integrations.fairseq2.labelled import LabelledSequences, LabelledSequencesConfig
from cmgems.integrations.fairseq2.masked_genome import MaskedGenome, MaskedGenomeConfig

FAMILIES: dict[str, tuple[type[Any], type[Any]]] = {
    "cmgems_masked_genome": (MaskedGenome, MaskedGenomeConfig),
    "cmgems_labelled": (LabelledSequences, LabelledSequencesConfig),
}


def dataset_family(resolver: DependencyResolver, name: str) -> DatasetFamily:
    """The family called ``name``, one of ``FAMILIES``."""
    kind, config = FAMILIES[name]
    return wire_object(resolver, StandardDatasetFamily, name=name, kls=kind, config_kls=config, opener=kind)
