"""How scores, costs and findings are put in words: shared by tables and figures, so that they say the same.

This module must not know rich or plotly; names come out as they went in, and whoever draws them escapes them.
"""

from collections.abc import Mapping, Sequence

from ....trainers.spec import OptionValue


def format_amount(amount: float) -> str:
    """A cost to three digits where it is small, whole where it is large.

    >>> format_amount(1.0), format_amount(12.345), format_amount(0.01234), format_amount(12345.6)
    ('1', '12.3', '0.0123', '12,346')
    """
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def format_share(share: float) -> str:
    """A saving in percent; rounded towards less, so that 99.9% never reads as all.

    >>> format_share(0.9999), format_share(-0.254)
    ('99%', '-25%')
    """
    return f"{int(100 * share + 1e-9)}%"


def format_loss(share: float) -> str:
    """A saving below zero, said as what it costs more.

    >>> format_loss(-0.254), format_loss(-0.004)
    ('25% more', 'less than 1% more')
    """
    return f"{format_share(-share) if share <= -0.01 else 'less than 1%'} more"


def pluralize(number: float, word: str) -> str:
    """A number with its word, plural where it is not one.

    >>> pluralize(1, "training"), pluralize(13, "training")
    ('1 training', '13 trainings')
    """
    return f"{format_amount(number)} {word}{'' if number == 1 else 's'}"


def format_number(value: float) -> str:
    """Four significant digits, without noise: 0.003536, 64, 1.28e+06.

    >>> format_number(0.0035355339), format_number(64.0)
    ('0.003536', '64')
    """
    return f"{value:.4g}"


def format_params(params: Mapping[str, OptionValue]) -> str:
    """Hyperparameters in one short line.

    >>> format_params({"lr": 0.1, "decay": "poly"})
    'lr=0.1 decay=poly'
    """
    return " ".join(f"{k}={format_number(v) if isinstance(v, float) else v}" for k, v in params.items())


def format_duration(seconds: float) -> str:
    """A time span as a person says it.

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
    """A learning rate to three digits, as one would type it.

    >>> format_lr(1.25e-3), format_lr(0.05), format_lr(5.656854), format_lr(1e-6), format_lr(0.0)
    ('1.25e-3', '0.05', '5.66', '1e-6', '0')
    >>> format_lr(999.7), format_lr(12_345.0)
    ('1e3', '1.23e4')
    """
    if lr == 0.0 or 0.01 <= lr < 999.5:  # beyond, three digits need an exponent
        return f"{lr:.3g}"
    digits, exponent = f"{lr:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def format_epochs(epochs: float) -> str:
    """Epochs in words, as many digits as there are to say.

    >>> format_epochs(1.0), format_epochs(0.3125)
    ('1 epoch', '0.3125 epochs')
    """
    return f"{epochs:.5g} epoch{'' if epochs == 1 else 's'}"


def join_names(names: Sequence[str]) -> str:
    """Names in a row.

    >>> join_names(["date", "legw", "sqrt"])
    'date, legw and sqrt'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
