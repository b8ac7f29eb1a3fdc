"""Numbers, durations and names as text, shared by tables and figures.

This module must not know rich or plotly. It escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Iterable, Mapping, Sequence

from ....trainers.spec import OptionValue


def format_amount(amount: float) -> str:
    """Format a cost: three digits below 100, a whole number above.

    >>> format_amount(1.0), format_amount(12.345), format_amount(0.01234), format_amount(12345.6)
    ('1', '12.3', '0.0123', '12,346')
    """
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def format_share(share: float) -> str:
    """Format a saving in percent, rounded towards zero so that 99.9% never reads as 100%.

    >>> format_share(0.9999), format_share(-0.254)
    ('99%', '-25%')
    """
    return f"{int(100 * share + 1e-9)}%"


def format_loss(share: float) -> str:
    """Format a negative saving as extra cost.

    >>> format_loss(-0.254), format_loss(-0.004)
    ('25% more', 'less than 1% more')
    """
    return f"{format_share(-share) if share <= -0.01 else 'less than 1%'} more"


def pluralize(number: float, word: str) -> str:
    """Format a number with its noun, in the plural unless the number is one.

    >>> pluralize(1, "training"), pluralize(13, "training"), pluralize(2, "search"), pluralize(2, "epoch")
    ('1 training', '13 trainings', '2 searches', '2 epochs')
    """
    plural = "es" if word.endswith("search") else "s"
    return f"{format_amount(number)} {word}{'' if number == 1 else plural}"


def format_option(value: OptionValue) -> str:
    """Format the value of a hyperparameter, with floats to four digits.

    >>> format_option(0.0035355339), format_option(64.0), format_option("poly")
    ('0.003536', '64', 'poly')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_params(params: Mapping[str, OptionValue]) -> str:
    """Format hyperparameters on one short line.

    >>> format_params({"lr": 0.1, "decay": "poly"})
    'lr=0.1 decay=poly'
    """
    return " ".join(f"{name}={format_option(value)}" for name, value in params.items())


def format_duration(seconds: float) -> str:
    """Format a duration in seconds.

    >>> format_duration(4.21), format_duration(125), format_duration(7500)
    ('4.2 s', '2 min 05 s', '2 h 05 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_lr(lr: float) -> str:
    """Format a learning rate to three digits, as a user would type it.

    >>> format_lr(1.25e-3), format_lr(0.05), format_lr(5.656854), format_lr(1e-6), format_lr(0.0)
    ('1.25e-3', '0.05', '5.66', '1e-6', '0')
    >>> format_lr(999.7), format_lr(12_345.0)
    ('1e3', '1.23e4')
    """
    if lr == 0.0 or 0.01 <= lr < 999.5:  # outside this range three digits need an exponent
        return f"{lr:.3g}"
    digits, exponent = f"{lr:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def format_epochs(epochs: float) -> str:
    """Format a number of epochs, with at most five digits.

    >>> format_epochs(1.0), format_epochs(0.3125)
    ('1 epoch', '0.3125 epochs')
    """
    return f"{epochs:.5g} epoch{'' if epochs == 1 else 's'}"


def join_names(names: Sequence[str]) -> str:
    """Join names with commas and "and".

    >>> join_names(["date", "legw", "sqrt"])
    'date, legw and sqrt'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def format_sizes(batch_sizes: Iterable[int]) -> str:
    """Format batch sizes as all text writes them, such as after "B=".

    >>> format_sizes((256, 1024, 8192))
    '256, 1,024 and 8,192'
    """
    return join_names([f"{size:,}" for size in batch_sizes])
