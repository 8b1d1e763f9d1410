"""Serve submission: configurations sent to the Serve of a running cluster (`reference/kuberay-apiserver.md` section 11).

An extension: no release of KubeRay has it, so it can be switched off. What lives here: its messages, how Serve's details become a
reply, and its calls. What doesn't: what Serve does with a configuration.
"""
