"""Two API servers, one sequence of requests, every difference explained.

What lives here, in the order of a run: `grammar` (stories: short sequences of requests, drawn from a seed), `steps` (their form),
`references` (to earlier answers), `sides` (one server, over HTTP), `telling` (a story told to both), `comparing`
with `unknowns` (which differences count), `grouping` and `known` (which are the same, which have a reason), `shrinking` (the
shortest story that still shows one), `campaign` (the run as a whole).

Not here: the command line (`rayrig.cli`), how it is printed (`rayrig.report`), and any opinion on which of the two is right.
"""
