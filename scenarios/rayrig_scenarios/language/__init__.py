"""The scenario language: from a name, path or text to a `Scenario` that can run.

`load` is the way in, `scenario` what comes out. `documents` reads YAML with line marks, `problems` turns what is wrong into one
line each; `scenario_file`, `steps` and `conditions` are the words, `units` and `paths` their values; `manifests` are the objects
applied; `from_manifest` makes a scenario of a RayService alone; `given` takes the same words from Python.
Nothing here knows of time or worlds.
"""
