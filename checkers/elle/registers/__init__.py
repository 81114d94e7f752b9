"""Dependencies and anomalies of registers, whose order of versions has to be inferred.

- :mod:`reads`, :mod:`values`   which reads count, and what was there first
- :mod:`versions`       who wrote and read each version, and in which order they came
- :mod:`dependencies`   what follows from that: who comes before whom; :mod:`reasons` in words
- :mod:`anomalies`      what is wrong without any cycle
- :mod:`serial_order`   one order of all transactions that explains every read
- :mod:`exhaustive`, :mod:`exhaustive_search`   every order of a small history
- :mod:`weak_models`, :mod:`weak_saturation`, :mod:`consistent_view`   models below serializability
"""
