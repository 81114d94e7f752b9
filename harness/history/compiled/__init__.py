"""Scanners of large histories, compiled by numba; imported only where it is installed."""
