"""What a pipeline's own `check_inputs` says to the arguments of a call, before the call."""

import inspect
import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


class InputCheck:
    """Asks by the names of parameters, which all classes share, while their order and number differ."""

    def __init__(self, pipeline: Any) -> None:
        self._check = getattr(pipeline, "check_inputs", None)
        self._names: tuple[str, ...] = ()
        if self._check is not None:
            self._names = tuple(inspect.signature(self._check).parameters)
        call = inspect.signature(pipeline.__call__).parameters
        self._defaults = {
            name: None if parameter.default is inspect.Parameter.empty else parameter.default
            for name, parameter in call.items()
        }

    def refusal(self, arguments: Mapping[str, Any]) -> str | None:
        """Why the pipeline would refuse such a call, in its own words; None if it would not, or doesn't tell.

        arguments: of the call; what is not among them has the call's own default.
        """
        if self._check is None:
            return None
        try:
            self._check(**{name: arguments.get(name, self._defaults.get(name)) for name in self._names})
        except ValueError as error:
            return str(error)
        except Exception:
            log.debug("check_inputs can't be asked beforehand", exc_info=True)
        return None
