"""The checker predicates."""
