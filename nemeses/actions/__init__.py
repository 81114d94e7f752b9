"""Actions: momentary things that a system is asked for."""
