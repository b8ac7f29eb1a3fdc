"""`zerotune scale`: measure weak scaling, and forecast it."""
