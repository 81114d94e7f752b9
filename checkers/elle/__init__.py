"""Transactional isolation after Elle: which consistency models does a history still allow?

Kingsbury & Alvaro, *Elle: Inferring Isolation Anomalies from Experimental Observations* (VLDB
2020), over Adya, *Weak Consistency* (1999). From what transactions observed, dependencies
between them are inferred; a cycle of dependencies is an anomaly, and each anomaly rules out
models.

- :mod:`transactions`  from the history's columns to transactions and micro-operations
- :mod:`lists`, :mod:`registers`   dependencies of values that are lists, only appended to, and of
  registers
- :mod:`graph`         labelled edges between transactions, process and realtime order
- :mod:`existence`, :mod:`cycles`   is there a cycle, and the shortest of each type
- :mod:`decide`        the answer
- :mod:`explain`, :mod:`draw`       the proof in words and as a picture
- :mod:`analysis`      from inference to verdict, the same for every kind of value

The checkers that judge by it are in :mod:`checkers.isolation`.
"""
