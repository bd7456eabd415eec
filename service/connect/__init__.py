"""Set up Prolific's side: the workspace's secret and the subscription that sends webhooks here."""
