"""What failed once: the same faults again, and the least of them that still make it fail."""
