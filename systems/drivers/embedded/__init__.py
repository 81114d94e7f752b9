"""Databases that are libraries: one small server round them, and the client that asks it."""
