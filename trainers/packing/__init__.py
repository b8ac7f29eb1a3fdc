"""Train several configurations at once on one device, and measure whether that is faster."""
