"""The file formats that a history can be written in and read from, one module each.

``jsonl`` is ours (one JSON object a line).
"""
