"""Transactional isolation, one checker a file or folder: what is inferred, looked for or decided.

- :mod:`list_append`, :mod:`rw_register`   all models, by what :mod:`checkers.elle` infers
- :mod:`predicates`   what conditions found, and did not
- :mod:`causal`, :mod:`torn`, :mod:`long_fork`, …   one thing each, with its own rules
- :mod:`register_transactions`, :mod:`impossible_reads`   what those share
"""
