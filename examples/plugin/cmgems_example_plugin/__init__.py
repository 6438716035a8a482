"""Importing this package adds its components to the registries of cmgems."""

from cmgems_example_plugin import masking, model

__all__ = ["masking", "model"]
