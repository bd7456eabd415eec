"""People's word: what they decide on what is held, and the brakes they pull."""
