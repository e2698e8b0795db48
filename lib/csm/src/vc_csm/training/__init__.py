"""LoRA training of CSM: from stored codes to an adapter."""
