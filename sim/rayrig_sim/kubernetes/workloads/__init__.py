"""Controllers that make pods: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, and the budgets that protect their pods."""
