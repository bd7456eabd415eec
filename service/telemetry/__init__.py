"""What a process reports about itself: logs, metrics, and work that is repeated at intervals."""
