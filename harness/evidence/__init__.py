"""What a run observes beside its operations, on the history's clock, and keeps in ``evidence/``."""
