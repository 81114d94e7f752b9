"""Endpoints that somebody else runs: nothing of ours is started there, and no fault done."""
