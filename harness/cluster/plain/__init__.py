"""Nodes that are plain processes on loopback, where namespaces are forbidden."""
