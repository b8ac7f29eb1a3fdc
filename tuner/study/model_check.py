"""Check what a configuration chooses of the model and the recipe, by building the model's outline."""

from collections.abc import Mapping

from ...trainers.applications import APPLICATIONS
from ...trainers.recipe import ghost_problems, recipe_problems
from ...trainers.spec import Configuration, OptionValue
from .definition import Study


class ModelCheck:
    """The check of a study's configurations; what it has built once it does not build again."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._application = APPLICATIONS[study.application]
        self._known: dict[object, str | None] = {}

    def problem(self, configuration: Configuration) -> str | None:
        """Return what keeps a model or a recipe that differs from the study's from being trained; None if nothing."""
        recipe, study = configuration.recipe, self._study
        if recipe != study.recipe:
            for field, sentence in recipe_problems(recipe, self._application):
                return f"{field} {sentence}"
        if not configuration.model_options and recipe.ghost_batch_size == study.recipe.ghost_batch_size:
            return None
        try:
            options = study.model_options(configuration.model_options)
        except ValueError as error:
            return str(error)
        place = (recipe.ghost_batch_size, *options.items())
        if place not in self._known:
            self._known[place] = self._build(configuration, options)
        return self._known[place]

    def _build(self, configuration: Configuration, options: Mapping[str, OptionValue]) -> str | None:
        try:
            self._application.meta_model(options)
        except ValueError as error:
            return str(error)
        workers = self._study.resources.workers_per_trial
        for field, sentence in ghost_problems(configuration.recipe, self._application, options, workers):
            return f"{field} {sentence}"
        return None
