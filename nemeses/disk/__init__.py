"""Faults of disks."""
