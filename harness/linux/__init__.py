"""What Python lacks of Linux, once: calls, who a process is, signals, streams."""
