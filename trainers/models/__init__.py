"""Networks: nn.Modules only, which know neither data nor training."""
