"""Manual decisions on submissions, and the pauses and resumes that people order."""
