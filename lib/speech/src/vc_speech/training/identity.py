"""Which run a run is: what its settings say of what is learnt."""

import hashlib
import json
from collections.abc import Collection

from vc_core.options import Incidental, Options, marker


def fingerprint(settings: Options, apart_from: Collection[str]) -> str:
    """Twelve hexadecimal digits, equal for runs that learn the same.

    Options that are incidental, and those named ``apart_from``, change nothing that is learnt: a
    run resumes across changes of them.
    """
    fields = type(settings).model_fields
    mattering = {
        name: value
        for name, value in settings.model_dump().items()
        if name not in apart_from and marker(fields[name], Incidental) is None
    }
    written = json.dumps(mattering, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:12]
