"""What is wrong with a manifest before anybody runs it: what the API server's schema, the operator and Serve refuse, and whether
the nodes have room.

What does not live here: the checks themselves (`rayrig_core.resources`), and printing (`rayrig.cli.validate`).
"""
