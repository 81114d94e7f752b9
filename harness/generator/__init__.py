"""Generators: what the clients and the nemesis do, and when.

Immutable values with the combinators of jepsen.generator under their own names, spelled as
Python needs (``any_``, ``map_``, ``filter_``). :mod:`harness.generator.core` says what a
generator is, :mod:`harness.generator.leaves` what becomes one by itself.
"""

from harness.generator.context import Context, initial_context
from harness.generator.core import (
    LOG,
    NOTHING,
    PENDING,
    SLEEP,
    Combinator,
    Generator,
    Liftable,
    Pending,
    Step,
    Wrapper,
    bind,
    invoke,
)
from harness.generator.independent import concurrent_generator, sequential_generator
from harness.generator.leaves import deferred, function, lift
from harness.generator.mixing import any_, mix, reserve, shortest_any
from harness.generator.sequencing import (
    concat,
    cycle,
    flip_flop,
    limit,
    log,
    once,
    phases,
    repeat,
    sleep,
    synchronize,
    then,
    until_ok,
)
from harness.generator.streams import Random
from harness.generator.threads import (
    clients,
    concurrency_limit,
    each_process,
    each_thread,
    nemesis,
    on_threads,
    process_limit,
)
from harness.generator.timing import cache, cycle_times, delay, stagger, time_limit, until_told
from harness.generator.transform import (
    GeneratorError,
    f_map,
    filter_,
    friendly_exceptions,
    ignore_updates,
    map_,
    on_update,
    trace,
    validate,
)

__all__ = [
    "LOG",
    "NOTHING",
    "PENDING",
    "SLEEP",
    "Combinator",
    "Context",
    "Generator",
    "GeneratorError",
    "Liftable",
    "Pending",
    "Random",
    "Step",
    "Wrapper",
    "any_",
    "bind",
    "cache",
    "clients",
    "concat",
    "concurrency_limit",
    "concurrent_generator",
    "cycle",
    "cycle_times",
    "deferred",
    "delay",
    "each_process",
    "each_thread",
    "f_map",
    "filter_",
    "flip_flop",
    "friendly_exceptions",
    "function",
    "ignore_updates",
    "initial_context",
    "invoke",
    "lift",
    "limit",
    "log",
    "map_",
    "mix",
    "nemesis",
    "on_threads",
    "on_update",
    "once",
    "phases",
    "process_limit",
    "repeat",
    "reserve",
    "sequential_generator",
    "shortest_any",
    "sleep",
    "stagger",
    "synchronize",
    "then",
    "time_limit",
    "trace",
    "until_ok",
    "until_told",
    "validate",
]
