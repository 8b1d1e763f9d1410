"""The Ray dashboard agent: the REST surface in front of a Serve instance."""
