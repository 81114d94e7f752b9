"""Existing hosts as nodes, over ssh."""
