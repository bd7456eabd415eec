"""Prolific's side of the service: the workspace's secret and the subscription that sends webhooks here."""
