"""Fake servers of use on their own: a Kubernetes API server and a Ray dashboard agent, each a sans-IO core with faces."""
