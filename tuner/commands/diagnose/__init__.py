"""`zerotune diagnose`: a training seen from inside."""
