"""Measured, never asserted: ``make bench``. Trust the ratios within one run."""
