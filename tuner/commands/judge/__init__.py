"""The command `zerotune judge`: past trainings as evidence."""
