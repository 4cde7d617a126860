"""A release: a corpus as a dataset that people load, check, and have rows taken back from."""
