"""Faults of who is a member of the cluster, and of which build."""
