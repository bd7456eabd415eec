"""The simulated Prolific: its API, its webhooks and its participants, over real HTTP and in memory only."""
