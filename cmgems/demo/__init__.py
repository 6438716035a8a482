"""The demo: a synthetic genome and labelled sets with structure that a model can learn."""

from cmgems.demo.simulate import DemoData, SimulatedGenome, simulate, write_demo_data

__all__ = ["DemoData", "SimulatedGenome", "simulate", "write_demo_data"]
