"""What a plug-in sees: clients, systems, nodes and clusters, faults, workloads.

``VERSION`` is this contract's: what changed with it is told by :mod:`harness.plugins.changes`.
"""

from harness.plugins.changes import VERSION

__all__ = ["VERSION"]
