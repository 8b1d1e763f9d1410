"""The scenario language, its bundled library, runner and checks.

What lives where:

- `language/`: from YAML to a `Scenario`: documents with line marks, units, models of steps and conditions, manifests;
- `library/`: the bundled scenarios, and in `library/manifests/` the RayServices they deploy;
- `results`: what comes out of a run;
- `actions`, `observations`, `judgement`: what steps do, what is seen of the world, whether a condition holds;
- `runner`: takes the steps in virtual time; `api`: the same verbs as Python calls, behind the pytest fixture `rayrig`;
- `determinism`, `digest`: the same run in two processes, and the first event that differs;
- `why/`: why a pod is not ready, or was not at some time; `wording`: events of a trace in words;
- `manifest_checks/`: what is wrong with a manifest before anybody runs it; `change_plan/`: what a changed one would make happen.

Not here: worlds (`rayrig_backends`), command line and reports (`rayrig`).
"""
