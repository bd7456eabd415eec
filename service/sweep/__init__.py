"""What webhooks did not bring about: submissions and decisions left over, found now and then, reviewed once more."""
