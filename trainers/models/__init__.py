"""Networks. This package must not know data or training."""
