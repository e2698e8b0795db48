"""LoRA fine-tuning of CSM on a voice's codes."""
