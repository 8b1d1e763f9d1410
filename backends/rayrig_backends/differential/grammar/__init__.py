"""Stories, drawn from a seed: a file for each family of them, `kinds` and `objects` for what they are about.

What does not live here: how a story is told (`telling`). The same seed draws the same stories in every process.
"""
