"""Queries, one module per noun: the inbox, evidence, submissions, decisions and more."""
