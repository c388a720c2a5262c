"""A shop whose feedback has a known truth: for demonstrations, tests and measurements."""

from closeloop.testing.simulator.generate import Simulation, Simulator, simulate
from closeloop.testing.simulator.scenarios import SCENARIOS
from closeloop.testing.simulator.write import WrittenFiles, write_simulation

__all__ = ["SCENARIOS", "Simulation", "Simulator", "WrittenFiles", "simulate", "write_simulation"]
