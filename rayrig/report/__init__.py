"""What a person sees of a run, and what a machine reads.

What lives here: tables, the timeline, the live display, the JSON form. What does not: any judgement; verdicts and figures come from
the result of the run (`rayrig_scenarios.results`).
"""
