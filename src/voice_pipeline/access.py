"""How the access keys of ``download`` reach its jobs: by environment, never by the command line.

They may be secret, and no job is to be run again because one of them has changed.
"""

import os
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voice_pipeline.config import Access
from voice_pipeline.settings import ConfigError, environment_and_dotenv

# Environment variable -> the key of ``download`` whose place it takes.
VARIABLES = {f"DOWNLOAD_{name.upper()}": name for name in Access.model_fields}

# What apptainer hands on into a container although it is started with --cleanenv.
INTO_CONTAINERS = "APPTAINERENV_"

# Keys with several values, and what stands between them in the environment.
SEPARATORS = {"allow_hosts": ",", "folders": os.pathsep}


def variables(keys: Collection[str]) -> list[str]:
    """The variables that stand for some keys of ``download``."""
    return [variable for variable, key in VARIABLES.items() if key in keys]


def by_hand(overrides: Mapping[str, Any] | None) -> list[str]:
    """The keys of ``download`` among what the command line gave."""
    given = (overrides or {}).get("download")
    return list(given) if isinstance(given, Mapping) else []


def lay(
    access: Access,
    environment: MutableMapping[str, str] = os.environ,
    first: Collection[str] = (),
    elsewhere: bool = False,
) -> None:
    """Put what ``access`` sets into ``environment`` as DOWNLOAD_..., for jobs and containers.

    What the environment or ``.env`` says already goes first, except for the keys in ``first``,
    which the command line gave. Paths are made absolute, because jobs may start in other folders;
    ``elsewhere``, where paths are those of other machines, they stay as they are. Raises
    ConfigError where a variable cannot be used or the cookies file is not there.
    """
    given = environment_and_dotenv(environment)
    for variable, key in VARIABLES.items():
        said = "" if key in first else given.get(variable, "")
        if said:
            _check(variable, key, said)
        value = said or text(key, getattr(access, key))
        if not elsewhere:
            value = _absolute(key, value)
        if value or key in first:
            environment[variable] = environment[INTO_CONTAINERS + variable] = value


def _check(variable: str, key: str, said: str) -> None:
    """One line here instead of one for every job."""
    if key == "proxy":
        return  # Here a password may stand, which no message is to show.
    try:
        Access.model_validate({key: _parts(key, said) if key in SEPARATORS else said})
    except ValidationError as error:
        raise ConfigError(f"{variable} is {said!r}: {error.errors()[0]['msg']}") from None


def _parts(key: str, said: str) -> list[str]:
    return [part.strip() for part in said.split(SEPARATORS[key]) if part.strip()]


def text(key: str, value: Any) -> str:
    """A value as vc-download reads it from the environment; "" where nothing is set."""
    if key in SEPARATORS:
        return SEPARATORS[key].join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


def _absolute(key: str, value: str) -> str:
    """``value`` with paths made absolute; ConfigError where the cookies file is not there."""
    if key == "folders":
        return os.pathsep.join(str(Path(part).absolute()) for part in _parts(key, value))
    if key != "cookies" or not value:
        return value
    path = Path(value).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(
            f"config: download.cookies: {path} is no file; write the cookies of your browser to "
            "it, or leave the key (DOWNLOAD_COOKIES) out"
        )
    return str(path)
