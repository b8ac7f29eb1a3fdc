"""The option `--prices`: what a device-hour and energy cost, for the bills of an answer."""

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadInput

if TYPE_CHECKING:
    from ..reports.answer import Answer
    from ..study.parts import PriceDefinition

_EXAMPLE = "device_hour=2.5,currency=EUR,watts=300,gco2_per_kwh=400"

PricesOption = Annotated[
    str | None,
    typer.Option(
        "--prices",
        metavar="KEY=VALUE,...",
        help=f"Prices for the bills, instead of the study's: {_EXAMPLE}, or some of them.",
    ),
]


def parse_prices(text: str) -> "PriceDefinition":
    """Return the prices that the option states.

    Raises:
        BadInput: a key is unknown, or a value cannot be used.
    """
    from pydantic import ValidationError

    from ..study.mistakes import describe_mistakes
    from ..study.parts import PriceDefinition

    content: dict[str, object] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key in content or key not in PriceDefinition.model_fields:
            raise _refusal(text, f"takes KEY=VALUE, each key once, of {', '.join(PriceDefinition.model_fields)}")
        content[key] = value if key == "currency" else _number(text, key, value)
    try:
        return PriceDefinition.model_validate(content)
    except ValidationError as error:
        place, sentence = describe_mistakes(error, content, PriceDefinition)[0]
        raise _refusal(text, f"{''.join(f'{key} ' for key in place)}{sentence}") from None


def at_prices(subject: "Answer", text: str | None) -> "Answer":
    """Return an answer at the prices of the option; unchanged without it.

    Raises:
        BadInput: as `parse_prices`.
    """
    if text is None:
        return subject
    from ..analysis.study_facts import stated_prices

    facts = replace(subject.comparison.facts, prices=stated_prices(parse_prices(text)))
    origin = replace(subject.origin, command=f"{subject.origin.command} --prices {shlex.quote(text)}")
    return replace(subject, comparison=replace(subject.comparison, facts=facts), origin=origin)


def _number(text: str, key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise _refusal(text, f"{key} must be a number, got {value!r}") from None


def _refusal(text: str, reason: str) -> BadInput:
    return BadInput(f"--prices {text}: {reason.removesuffix('.')}. For example: --prices {_EXAMPLE}")
