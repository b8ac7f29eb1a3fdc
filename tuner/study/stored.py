"""Read stored definitions back to a `Study`.

A store may be written by another version of zerotune, with other applications and optimizers. So names and options are
not looked up here: a report needs none of them, and treats them as text.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import BadInput
from .definition import Study
from .fields import STORED
from .mistakes import describe_mistakes
from .yaml_file import format_location


def read_definition(definition: Mapping[str, Any], *, version: str = "") -> Study:
    """Return the study of a stored definition, as `Study.resolved` wrote it.

    Args:
        definition: plain JSON values; keys at the top that no study has are left out.
        version: version of zerotune that wrote it, for the error text; empty where unknown.

    Raises:
        BadInput: the definition is damaged, or this version of zerotune cannot read it.
    """
    content = {key: value for key, value in definition.items() if key in Study.model_fields}
    try:
        return Study.model_validate(content, context=STORED)
    except ValidationError as error:
        location, sentence = describe_mistakes(error, content, Study)[0]
        writer = f"zerotune {version}" if version else "another version of zerotune"
        raise BadInput(
            f"the definition in the records of study {content.get('name')!r} cannot be read: "
            f"{format_location(location)}: {sentence.removesuffix('.')}. It was damaged or written by {writer}: "
            "read it with that."
        ) from None
