"""What people should know of is written down as notices, each once, and sent to where they look."""
