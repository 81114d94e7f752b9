"""The checker ``rw-register``: is there an order of all that explains every read?

A history of blind writes does not tell in which order the versions of a key came, so inference in
the manner of Elle (:mod:`checkers.elle.registers`) leaves most histories open. Here that order is
looked for, or shown not to be there, at snapshot isolation, serializability, their session and
strict forms, and prefix consistency:

- :mod:`problem`   what has to be explained, and the levels
- :mod:`begin_commit_graph`   turns (begins and commits) and what must come before what
- :mod:`greedy_schedule`   one order of all turns, put together greedily; :mod:`replay` proves it
- :mod:`vector_clocks`, :mod:`saturation`   what must be so of the order of versions; a circle is a
  refutation
- :mod:`solver`   what is left open is tried, with a solver that learns from circles
- :mod:`derivation`, :mod:`refutation`, :mod:`prose`   a circle as a proof, checked again, in words
- :mod:`decision`, :mod:`question`   these one after the other, and the verdict

After PolySI (Huang et al., VLDB 2023), Viper (Zhang et al., EuroSys 2023) and AWDIT (2025), whose
rules these are; graph and guess are our own.
"""
