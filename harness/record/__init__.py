"""The track record: published findings, each reproduced on the real software by one command."""
