"""Sentences of a report: verdict, caveats, methods, provenance."""
