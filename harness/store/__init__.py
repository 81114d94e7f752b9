"""A run's folder on disk, whoever made it: read as data, written safely."""
