"""rayrig: a test rig for Ray Serve on Kubernetes."""

__version__ = "0.1.0"
