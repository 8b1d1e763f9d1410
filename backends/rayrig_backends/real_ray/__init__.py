"""A real Ray, started by us and shut in: in namespaces of its own, reached through the loopback interface only.

`local` starts and ends it, `inside` is its first process. Ray itself is never imported here: `rayrig[ray]`, or any Python that has
it, runs it.
"""
