"""Run trials on a Ray cluster. The only home of Ray."""
