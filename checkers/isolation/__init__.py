"""Checkers of transactional isolation."""
