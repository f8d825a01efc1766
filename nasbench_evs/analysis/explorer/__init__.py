"""The explorer: one HTML file that shows tables, surrogates and an experiment, and how far to trust them."""
