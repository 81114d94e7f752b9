"""Containers that somebody else runs, attached to for faults: found, never made nor removed."""
