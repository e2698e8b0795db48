"""The front door of the Voice Cloning Pipeline: configuration, Python API, command line."""

from voice_pipeline.api import VoiceCloningPipeline
from voice_pipeline.config import PipelineConfig

__all__ = ["PipelineConfig", "VoiceCloningPipeline"]
