"""What the service talks about: submissions, studies, decisions. No HTTP, no SQL, no clocks."""
