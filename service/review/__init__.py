"""Reviews: fetch a submission, decide it by rules and guards, record the decision, apply it."""
