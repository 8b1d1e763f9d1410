"""Cannot be imported."""

raise ImportError("not today")
