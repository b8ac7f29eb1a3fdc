"""Train one configuration: a model on its data, with an optimizer, a learning-rate schedule and a recipe.

Importing this package takes no torch. It must not know who chose a configuration, what else is trained, or what any of
it is compared with: that is the work of `tuner`. The public names of all packages are in `zerotune` itself.

Files:
    loop, updates       the training loop, and the updates of an epoch
    spec                configurations, placements and results: plain values without torch
    scaling, scale_up   rules that scale a baseline to a batch size; `scale_up` for your own training script
    recipe              clipping, label smoothing, ghost batches, micro-batches and precision
    outcome, evaluation, checkpoint, sampling, micro_batch    parts of the loop
    sanity_check        one batch through your own application, before any trial
    flops_and_memory, energy_meter, memory, cores, compiler   the machine: its costs and its limits
    weak_scaling        update times on 1, 2 ... workers

Folders:
    applications        a model, its data, loss, metric, target and tuned baseline each
    data                data sets: read, checked, split
    models              networks
    optimizers          optimizers, DATE, LARS and LAMB among them
    schedules           warm-ups and decays of the learning rate
    diagnostics         gradient noise, layers and distances, observed while training
    distributed         data-parallel training: a process group and the workers of one machine
    packing             several small trainings at once on one device
"""
