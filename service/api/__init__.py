"""What people and scripts ask of the service over HTTP: decisions, submissions, its state."""
