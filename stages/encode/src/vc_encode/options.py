"""The options of ``vc-encode``."""

from vc_core import shared
from vc_core.options import Options


class EncodeOptions(Options):
    """What a speaking model learns from, made once of every clip."""

    base_model: shared.BaseModelName
    family: shared.FamilyName
    device: shared.Device
