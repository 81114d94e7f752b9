"""What a run as a whole must not show: crashes, lost availability, bad lines in logs."""
