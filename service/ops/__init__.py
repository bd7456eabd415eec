"""Health checks and gauges, read from the whole service."""
