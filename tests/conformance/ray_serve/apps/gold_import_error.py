"""A module that cannot be imported: raises ImportError("this module refuses to be imported").
Import path: gold_import_error.app (never reached)."""

raise ImportError("this module refuses to be imported")
