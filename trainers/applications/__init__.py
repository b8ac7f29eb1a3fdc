"""Applications: a model, its data, loss, metric, target and tuned baseline, one file each.

`APPLICATIONS` is the one table of them. An application says how one training is made; it must not know schedules being
searched, trials or costs.
"""
