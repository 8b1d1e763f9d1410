"""The Deployment controller: sizes, status, annotations and the actor. ReplicaSets are next door."""
