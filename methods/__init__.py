"""Methods: one way of controlling a discriminator's Lipschitz constant a file."""
