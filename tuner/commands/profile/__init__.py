"""`zerotune profile`: performance profiles over several studies."""
