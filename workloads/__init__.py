"""What is asked of a system, and the invariant it is judged by: one file a workload."""
