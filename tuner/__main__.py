"""`python -m zerotune`: the command."""

from zerotune.tuner.cli import main

if __name__ == "__main__":
    main()
