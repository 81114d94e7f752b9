"""What the tests of plug-ins share."""

from tests.harness.plugins.laid import site

__all__ = ["site"]
