"""`zerotune grids`: past trainings over learning rate and batch size: must a model be tuned again at a larger batch?"""
