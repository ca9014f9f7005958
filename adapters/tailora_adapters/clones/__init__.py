"""Code clones: functions of a repository that repeat each other. Knows nothing of editors or of who asks."""
