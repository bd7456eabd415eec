"""Evidence about submissions: pushed or fetched, and checked against the declarations in rule files."""
