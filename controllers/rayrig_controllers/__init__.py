"""The reconcile logic of the KubeRay operator and the small runtime it runs on."""
