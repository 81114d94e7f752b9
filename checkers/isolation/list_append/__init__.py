"""The checker list-append."""
