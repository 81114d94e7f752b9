"""What goes wrong on purpose: one file a family of faults."""
