"""Nodes on this machine, each in namespaces of its own."""
