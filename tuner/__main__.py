"""`python -m zerotune`: the command."""

from zerotune.trainers.child_process import demote_current_folder


def main() -> None:
    """Run the command, with nothing imported from the current folder, which `python -m` puts first."""
    demote_current_folder()
    from zerotune.tuner.commands.streams import repair_streams

    repair_streams()  # before the commands look at the terminal
    from zerotune.tuner.cli import main as run
    from zerotune.tuner.commands.interrupt import end_at_signals

    try:
        run()
    finally:
        end_at_signals()


if __name__ == "__main__":
    main()
