"""`zerotune rule`: what a scaling rule gives at a batch size."""
