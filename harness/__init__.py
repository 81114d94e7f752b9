"""How an experiment runs and is kept: history, generators, cluster, run, report, command line.

This package imports none of its siblings ``checkers``, ``workloads``, ``nemeses`` and
``systems``; it finds what they offer through :mod:`harness.plugins`.
"""

__version__ = "0.1.0"
