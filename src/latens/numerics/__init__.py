"""Numerical building blocks: nothing here knows of models or data."""
