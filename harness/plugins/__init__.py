"""Finds systems, workloads, nemeses and checkers: built in, by entry point, or from a file.

A module of a plug-in exposes a table (``SYSTEMS``, ``WORKLOADS``, ``NEMESES``, ``CHECKERS``; for
checkers also ``EXPLANATIONS`` and ``TRIALS``) from name to factory; ``docs/plugins.md`` tells
authors the rest. Inside:

    registry   what can be named, and whose it is where two claim a name
    built_in   the names of our own, and the one module to import for each
    installed  plug-ins that came by entry point
    files      a plug-in's file and the modules beside it, each in a package of its own
    tables     what a plug-in's module must say, and in what shape
    changes    the contract's version, and what moved between versions
    old_names  redirects what moved, for plug-ins of before
    notices    says so once, however many processes load the plug-in

Nothing here imports a plug-in, or a module of ours, before somebody asks for its name.
"""

from harness.plugins.registry import BUILT_IN, KINDS, Found, Kind, Registry

__all__ = ["BUILT_IN", "KINDS", "Found", "Kind", "Registry"]
