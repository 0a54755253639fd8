"""Exponential families for complete data. Every method sees one datum."""
