"""The review of one submission: gather facts, decide, guard, record, apply, record the answer."""
