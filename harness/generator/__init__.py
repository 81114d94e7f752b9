"""Generators: what the clients and the nemesis are asked to do, and when."""

from harness.generator.core import PENDING, Context, Generator

__all__ = ["PENDING", "Context", "Generator"]
