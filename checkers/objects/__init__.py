"""Single objects: sets, counters, queues, locks, accounts; one file a checker."""
