"""The databases and services under test: one file a system."""
