"""Tables, figures and exports of a comparison: the only place that draws."""
