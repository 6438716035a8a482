"""The demo: a synthetic genome, labelled sets with structure that a model can learn, and the steps between."""

from cmgems.demo.journey import Journey
from cmgems.demo.simulate import DemoData, SimulatedGenome, simulate, write_demo_data

__all__ = ["DemoData", "Journey", "SimulatedGenome", "simulate", "write_demo_data"]
