"""Train one model on several devices: a process group, its rendezvous, and the workers of one machine."""
