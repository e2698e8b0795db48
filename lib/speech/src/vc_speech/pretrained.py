"""Loading from folders and from the Hub: device, place, quiet, and refusals of one line."""

from pathlib import Path
from typing import Any

from vc_core import models
from vc_core.errors import InputError, TryAgainError

SMALL = 50_000_000  # parameters; below, threads wait for each other longer than they work


def quiet() -> None:
    """Keep the libraries from drawing bars, and from warning of what is meant to be."""
    import logging
    import warnings

    from transformers.utils import logging as chatter

    for name in ("huggingface_hub", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def settle_threads(model: Any) -> None:
    """Let a small model compute with one thread."""
    import torch

    if model.num_parameters() < SMALL:
        torch.set_num_threads(1)


def fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32."""
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def place(name: str) -> str:
    """Folder or Hub id of a model, after a look whether there is one.

    Raises InputError where there is none, TryAgainError when the Hub cannot be reached: asked
    for one small file first, it says so once and not for every file of the model.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    found = models.resolve(name)
    if Path(found).is_dir():
        if not (Path(found) / "config.json").is_file():
            raise InputError(
                f"model {name!r}: the folder has no config.json; give a model's folder"
            )
        return found
    try:
        hf_hub_download(found, "config.json")
    except HFValidationError:
        raise InputError(f"model {name!r}: neither a folder nor a Hub id; check it") from None
    except HfHubHTTPError as error:
        raise _refused_by_hub(name, error) from error
    except OSError as error:
        raise TryAgainError(
            f"model {name!r}: the Hub cannot be reached; try again, or give a folder"
        ) from error
    return found


def refusal(name: str, error: Exception) -> InputError:
    """One line for what transformers says in many."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
    return InputError(f"model {name!r}: cannot be loaded ({reason})")


def _refused_by_hub(name: str, error: Any) -> InputError | TryAgainError:
    """A model that is not there or not ours, told from a Hub in trouble."""
    status = getattr(error.response, "status_code", 0)
    if status in (401, 403, 404):
        return InputError(
            f"model {name!r}: not on the Hub, or not for you ({status}); check the name, set "
            "HF_TOKEN for a gated or private one, or give a folder"
        )
    return TryAgainError(f"model {name!r}: the Hub answers {status}; try again later")
