"""Latent structures: what was seen, in terms of complete data."""
