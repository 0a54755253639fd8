"""What the mathematics says about a fit: Q, H and the bound; informations and standard errors."""
