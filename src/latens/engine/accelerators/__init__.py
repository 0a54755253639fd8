"""Objects that say where to evaluate the EM map next, one rule in each file."""
