"""Dependencies and anomalies of lists that are only appended to.

- :mod:`versions`       in which order everything was appended to a key
- :mod:`dependencies`   what follows from that: who comes before whom
- :mod:`anomalies`      what a list shows without any cycle
- :mod:`initial`        lists that were not empty when the history began
- :mod:`snapshot_schedule`   a guess of the order of appends that nobody read
"""
