"""A seeded world that drives the production trader through every fault of its wire, and holds it to its promises."""

from trading.domain.simulation.run import Outcome, simulate

__all__ = ["Outcome", "simulate"]
