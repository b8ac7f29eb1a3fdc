"""`zerotune diagnose`: measure a training from inside."""
