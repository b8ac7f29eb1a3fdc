"""The commands of `zerotune`, one file or folder each."""
