"""The sweep: a periodic run that finds submissions and decisions that webhooks missed, and has them reviewed."""
