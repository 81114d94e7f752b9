"""Judging a record: every checker in a process of its own, the health of the run, one verdict."""
