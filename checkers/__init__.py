"""Was the answer right: one file a checker, a folder a family."""
