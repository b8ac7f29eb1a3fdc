"""The layout file of a table of one's own: YAML that names the columns of a CSV or parquet file of trainings."""

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from ...trainers.applications.registry import register_table
from ...trainers.applications.tabulated import tabulated_application
from ...trainers.data import DataError
from ...trainers.tabulated.layout import Layout, model_options, read_table
from ..errors import BadInput
from .fields import Count, OneLine, StudyName
from .mistakes import describe_mistakes
from .parts import Definition
from .values import OptionValues
from .yaml_file import read_yaml

SUFFIXES = (".yaml", ".yml")


class LayoutDefinition(Definition):
    """Keys of a layout file, as `trainers.tabulated.layout.Layout` has them; `file` is relative to the layout's folder.

    `fixed` and `columns` take the names that studies use: lr, batch_size, epochs, optimizer, warmup_epochs, decay, the
    options of the optimizer, and any others, which become options of the model.
    """

    name: StudyName
    file: str
    metric: OneLine
    higher_is_better: bool
    chance_score: float
    columns: Annotated[dict[str, str], Field(min_length=1)]
    fixed: OptionValues = Field(default_factory=dict)
    select: OptionValues = Field(default_factory=dict)
    num_train: Count | None = None
    description: OneLine = "a table of past trainings"


def register_layout(spec: str) -> str:
    """Register the application of a layout file, and return its name.

    The table is read at once, and kept as it was read.

    Raises:
        BadInput: the layout or its table has mistakes, one line for each.
        ApplicationError: zerotune ships an application of that name, or a field of it is wrong.
    """
    path = Path(spec)
    file = read_yaml(path, spec)
    try:
        definition = LayoutDefinition.model_validate(file.content)
    except ValidationError as error:
        found = describe_mistakes(error, file.content, LayoutDefinition)
        raise BadInput("\n".join(file.error(place, f"{text.removesuffix('.')}.") for place, text in found)) from None
    values = {name: getattr(definition, name) for name in LayoutDefinition.model_fields}
    layout = Layout(**{**values, "file": path.parent / definition.file})
    if problems := [file.error(place, f"{text}.") for place, text in layout.problems()]:
        raise BadInput("\n".join(problems))
    try:
        table = read_table(layout)
        digest = hashlib.sha256(path.read_bytes() + b"\0" + layout.file.read_bytes()).hexdigest()[:16]
    except DataError as error:
        raise BadInput(f"{spec}: {error}") from None
    epochs = next((axis.values[0] for axis in table.axes if axis.name == "epochs"), layout.fixed.get("epochs"))
    application = tabulated_application(
        name=layout.name,
        load=lambda: table,
        metric=layout.metric,
        higher_is_better=layout.higher_is_better,
        chance_score=layout.chance_score,
        epochs=epochs if isinstance(epochs, int) else None,
        model_options=model_options(table),
        num_train=layout.num_train,
        description=layout.description,
        source=layout.file.name,
    )
    register_table(layout.name, application, digest, str(path.absolute()))
    return layout.name
