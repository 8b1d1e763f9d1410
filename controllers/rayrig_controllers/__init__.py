"""The reconcile logic of the KubeRay operator (a package per controller) and the small runtime it runs on.

Awaits ports only; knows neither the simulation nor the fakes.
"""
