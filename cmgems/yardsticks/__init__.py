"""Yardsticks: what a labelled set lets anybody score without a model, and frozen vectors with one."""

from cmgems.yardsticks.audit import (
    Audit,
    Likeness,
    audit,
    audit_folder,
    audit_values,
    read_audit,
    write_audit,
)
from cmgems.yardsticks.baselines import Baseline, Baselines, fit_baselines
from cmgems.yardsticks.examples import Examples, ExampleSet, read_examples

__all__ = [
    "Audit",
    "Baseline",
    "Baselines",
    "ExampleSet",
    "Examples",
    "Likeness",
    "audit",
    "audit_folder",
    "audit_values",
    "fit_baselines",
    "read_audit",
    "read_examples",
    "write_audit",
]
