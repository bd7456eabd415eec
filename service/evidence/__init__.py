"""What the researcher knows of a submission, pushed here and checked against what rule files declare."""
