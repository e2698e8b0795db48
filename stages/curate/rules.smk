"""The target's speech cut into clips worth learning from."""


rule curate:
    input:
        vocals="<work>/{voice}/{source}/vocals.flac",
        segments="<work>/{voice}/{source}/segments.jsonl",
        words="<work>/{voice}/{source}/words.jsonl",
        reference="<results>/{voice}/reference/reference.wav",
        corrections=PLAN.corrections,
    output:
        clips=directory("<results>/{voice}/clips/{source}"),
        record="<results>/{voice}/clips/{source}.run.json",
    log:
        "<logs>/{voice}/{source}/curate.log",
    container:
        PLAN.image("curate")
    threads: 2
    resources:
        mem_mb=4000,
        disk_mb=2000,
        runtime="1h",
    params:
        licence=PLAN.licence,
        language=lookup(within=config, dpath="voices/{voice}/language"),
        encoder=lookup(within=config, dpath="segment/encoder"),
        min_seconds=lookup(within=config, dpath="curate/min_seconds"),
        max_seconds=lookup(within=config, dpath="curate/max_seconds"),
        min_similarity=lookup(within=config, dpath="curate/min_similarity"),
        min_confidence=lookup(within=config, dpath="curate/min_confidence"),
        min_dnsmos=lookup(within=config, dpath="curate/min_dnsmos"),
        min_snr=lookup(within=config, dpath="curate/min_snr"),
        min_bandwidth=lookup(within=config, dpath="curate/min_bandwidth"),
        max_clipped=lookup(within=config, dpath="curate/max_clipped"),
        max_disagreement=lookup(within=config, dpath="curate/max_disagreement"),
        silence=lookup(within=config, dpath="curate/silence"),
        corrections=PLAN.correcting,
        rejected=branch(
            lookup(within=config, dpath="curate/rejected"), then="--rejected"
        ),
        loudness=lookup(within=config, dpath="curate/loudness"),
    shell:
        "vc-curate {input.vocals:q} {input.segments:q} {input.words:q}"
        " --reference {input.reference:q} --voice {wildcards.voice:q}"
        " --source {wildcards.source:q} --licence={params.licence:q}"
        " --language {params.language:q} --encoder {params.encoder:q}"
        " --min-seconds {params.min_seconds} --max-seconds {params.max_seconds}"
        " --min-similarity={params.min_similarity} --min-confidence {params.min_confidence}"
        " --min-dnsmos {params.min_dnsmos} --min-snr {params.min_snr}"
        " --min-bandwidth {params.min_bandwidth} --max-clipped {params.max_clipped}"
        " --max-disagreement {params.max_disagreement} --silence {params.silence}"
        " --loudness={params.loudness} {params.corrections:q} {params.rejected}"
        " --record-failure --output {output.clips:q} 2> {log:q}"
