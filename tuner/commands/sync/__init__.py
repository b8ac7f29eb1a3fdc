"""`zerotune sync`: bring journals into an MLflow store."""
