"""Choices on the edge of their range, in sentences."""

from ...analysis.selection import Edge


def format_edge(edge: Edge) -> str:
    """Format the warning that a choice lies on the edge of its range.

    >>> format_edge(Edge(arm="tuned", batch_size=512, name="lr", value=0.98, low=0.01, high=1.0))
    'On the edge: tuned at B=512 chose lr 0.98 of 0.01 to 1; a better value may lie outside, so widen its range.'
    """
    return (
        f"On the edge: {edge.arm} at B={edge.batch_size:,} chose {edge.name} {edge.value:.4g} of {edge.low:g} to "
        f"{edge.high:g}; a better value may lie outside, so widen its range."
    )
