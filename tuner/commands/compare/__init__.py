"""`zerotune compare`: a study's answer, and a gate that fails where the answer does not allow what is asked."""
