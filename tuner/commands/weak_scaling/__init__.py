"""`zerotune scale`: measure and forecast weak scaling."""
