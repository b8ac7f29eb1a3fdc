"""Given one configuration, train once: torch only; knows no Ray, Optuna, MLflow, plotly or YAML."""
