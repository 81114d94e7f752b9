"""What happened, in order: operations, the journal that keeps them, and the ways to read them.

``operation`` is one record, ``journal`` writes records while a run goes on, ``seal`` compresses
them when it is over, ``reader`` reads them back (and other tools' histories, see ``formats``),
``history`` holds them in memory, ``columns`` as flat arrays. ``record`` and ``verdict`` are what
checkers get and give. Checkers import this package and nothing else of the harness.
"""
