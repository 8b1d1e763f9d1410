"""The pytest plugin: fixture `rayrig`."""
