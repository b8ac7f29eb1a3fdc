"""Spaces of several solvers, for methods that search the solver as one more hyperparameter."""

from collections.abc import Mapping

from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER
from ..study.search_space import Choice, Float, Param, Space, grid_points, value_at

Params = dict[str, OptionValue]


class SolverUnion:
    """The spaces of several solvers as one flat space, for methods that know no conditions.

    A hyperparameter with the same range for all solvers keeps its name. The n-th of the others is a fraction from 0 to
    1, which stands for the place in the n-th range of every solver, on its scale. So there are no dimensions without
    effect, except where a solver has fewer ranges than another, and what a method learns of the place of a learning
    rate it knows of every solver.

    >>> inertia = Float(low=0.8, high=0.9)
    >>> union = SolverUnion({"adam": {"beta1": inertia}, "momentum": {"momentum": inertia}})
    >>> union.space
    {'optimizer': Choice(choices=('adam', 'momentum')), 'range 1': Float(low=0.0, high=1.0, scale='linear', num=None)}
    >>> union.params({"optimizer": "momentum", "range 1": 1.0})
    {'optimizer': 'momentum', 'momentum': 0.9}
    """

    def __init__(self, spaces: Mapping[str, Space]) -> None:
        self._spaces = spaces
        shared = shared_params(spaces)
        self._own = {solver: [name for name in space if name not in shared] for solver, space in spaces.items()}
        places = {_place(n): Float(low=0.0, high=1.0) for n in range(max(map(len, self._own.values())))}
        solver = {OPTIMIZER: Choice(choices=tuple(spaces))} if len(spaces) > 1 else {}
        self.space: Space = {**solver, **places, **shared}

    def params(self, flat: Mapping[str, OptionValue]) -> Params:
        """Return the solver and its hyperparameters at a point of the flat space."""
        solver = str(flat.get(OPTIMIZER, next(iter(self._spaces))))
        space, own = self._spaces[solver], self._own[solver]
        places = {name: float(flat[_place(n)]) for n, name in enumerate(own)}  # type: ignore[arg-type]  # fractions
        values = {name: value_at(space[name], places[name]) if name in places else flat[name] for name in space}
        return {OPTIMIZER: solver, **values}


def shared_params(spaces: Mapping[str, Space]) -> dict[str, Param]:
    """Return the hyperparameters that have the same range for all solvers."""
    first, *others = spaces.values()
    return {name: param for name, param in first.items() if all(other.get(name) == param for other in others)}


def grid_of_solvers(spaces: Mapping[str, Space]) -> list[Params]:
    """Return every point of the solvers' grids, one solver after the other.

    >>> grid_of_solvers({"adam": {"lr": Choice(choices=(0.1, 0.2))}, "lars": {}})
    [{'optimizer': 'adam', 'lr': 0.1}, {'optimizer': 'adam', 'lr': 0.2}, {'optimizer': 'lars'}]
    """
    return [{OPTIMIZER: solver, **point} for solver, space in spaces.items() for point in grid_points(space)]


def _place(number: int) -> str:
    return f"range {number + 1}"
