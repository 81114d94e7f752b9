"""What somebody else runs on hosts, attached to for faults over ssh."""
