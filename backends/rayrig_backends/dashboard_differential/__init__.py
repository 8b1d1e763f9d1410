"""Two Ray dashboards, the same documents to both, every difference explained.

In the order of a run: `stories` (what is sent), `sides` (one dashboard with its data plane: over HTTP, or modelled, on virtual
time), `telling` (a story told to one side, with what its status went through, seen by `looks`), `comparing` with `normal_form`
(which differences count), `outcome` (the run as a whole, with those that have a reason).

Not here: the stories themselves, and any opinion on which of the two is right.
"""
