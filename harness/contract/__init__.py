"""What a plug-in sees: clients, systems, nodes and clusters, faults, workloads."""
