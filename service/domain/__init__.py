"""The domain: submissions, studies, decisions. No HTTP, no SQL, no clocks."""
