"""The front door of the Voice Cloning Pipeline: configuration, Python API, command line."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voice_pipeline.api import VoiceCloningPipeline
    from voice_pipeline.config import PipelineConfig

__all__ = ["PipelineConfig", "VoiceCloningPipeline"]


def __getattr__(name: str) -> Any:
    """Both names on first use: the configuration is composed of the stages in the checkout."""
    if name == "PipelineConfig":
        from voice_pipeline.compose import compose
        from voice_pipeline.stages import find_root

        return compose(find_root())
    if name == "VoiceCloningPipeline":
        from voice_pipeline.api import VoiceCloningPipeline

        return VoiceCloningPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
