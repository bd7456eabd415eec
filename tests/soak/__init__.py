"""The soak: real processes killed again and again, and Prolific's ledger looked at afterwards."""
