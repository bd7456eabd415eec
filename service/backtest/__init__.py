"""Decides past submissions with given rules, and compares with what was decided; nothing is sent or recorded."""
