"""A small simulated Kubernetes cluster that knows the truth, behind the real list/watch protocol over HTTP.

It imports nothing of the exporter: it writes full JSON of its own, secrets and noise included, and keeps its own book
of what happened (`truth.py`), so that the product and its oracle cannot share a bug.
"""

from exporter.simulator.demo import demo
from exporter.simulator.simulation import Simulation

__all__ = ["Simulation", "demo"]
