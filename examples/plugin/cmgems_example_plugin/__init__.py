"""Importing this package adds its components to the registries of cmgems."""

from cmgems_example_plugin import curriculum, masking, model

__all__ = ["curriculum", "masking", "model"]
