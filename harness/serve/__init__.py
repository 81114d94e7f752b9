"""The served index: every run of a store, to filter, open, follow while it runs and download."""
