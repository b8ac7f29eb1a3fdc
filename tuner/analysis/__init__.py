"""Turn trial results into evidence: selections, intervals, costs, comparisons. Nothing here draws or stores."""
