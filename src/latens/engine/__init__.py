"""The one loop, and what it is made of: the EM map, accelerators, stopping, starts."""
