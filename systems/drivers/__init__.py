"""What clients of several systems share."""
