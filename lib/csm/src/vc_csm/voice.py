"""CSM as a model that speaks; vc_speech.tts finds it by its entry point."""

from collections.abc import Iterator, Sequence

from vc_core.audio import TTS_RATE, Samples
from vc_csm import csm
from vc_speech import pretrained
from vc_speech.tts import Options, Said


class CsmVoice:
    """CSM with its adapter merged into the weights, after a context clip if there is one."""

    rate = TTS_RATE

    def __init__(self, options: Options) -> None:
        self.device = pretrained.choose_device(options.device)
        dtype = csm.speaking_dtype(self.device)
        model = csm.load(options.base_model, self.device, dtype, options.adapter, merge=True)
        context = []
        if options.context_audio:
            context = [csm.context_of(model, options.context_audio, options.context_text)]
        how = csm.Speaking(
            temperature=options.temperature,
            top_k=options.top_k,
            max_seconds=options.max_seconds,
            letters_a_second=csm.slowest(options.adapter),
            batch_size=options.batch_size,
        )
        self.letters = csm.letters_at_once(how.max_seconds, how.letters_a_second)
        self._speaker = csm.Speaker(model, context, how)

    def speak(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Said]:
        """Say every text, in batches."""
        return [
            Said(speech.samples, len(speech.codes), speech.stopped_by_itself)
            for speech in self._speaker.say(texts, seeds)
        ]

    def stream(self, text: str, seed: int) -> Iterator[Samples]:
        """Say one text piece by piece."""
        return self._speaker.stream(text, seed)
