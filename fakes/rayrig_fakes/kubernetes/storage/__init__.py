"""What is kept and in which order it changed: objects by key, revisions, the log watchers follow. Knows no verb and no kind."""
