"""The slices in which the target speaks alone."""


rule reference:
    input:
        audio=PLAN.reference_audio,
    output:
        audio="<results>/{voice}/reference/reference.wav",
        checks="<results>/{voice}/reference/reference.json",
        record="<results>/{voice}/reference/reference.wav.run.json",
    log:
        "<logs>/{voice}/reference.log",
    container:
        PLAN.image("reference")
    threads: 2
    resources:
        mem_mb=2000,
        disk_mb=1000,
        runtime="20m",
    params:
        slices=PLAN.reference_options,
        min_seconds=lookup(within=config, dpath="voices/{voice}/reference/min_seconds"),
        max_seconds=lookup(within=config, dpath="voices/{voice}/reference/max_seconds"),
        min_dnsmos=lookup(within=config, dpath="voices/{voice}/reference/min_dnsmos"),
        max_clipped=lookup(within=config, dpath="voices/{voice}/reference/max_clipped"),
        min_cosine=lookup(within=config, dpath="voices/{voice}/reference/min_cosine"),
        max_overlap=lookup(within=config, dpath="voices/{voice}/reference/max_overlap"),
        overlap_model=lookup(within=config, dpath="segment/overlap_model"),
        encoder=lookup(within=config, dpath="segment/encoder"),
        whisper=lookup(within=config, dpath="transcribe/model"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
    shell:
        "vc-reference {input.audio:q} {params.slices:q}"
        " --min-seconds {params.min_seconds} --max-seconds {params.max_seconds}"
        " --min-dnsmos {params.min_dnsmos} --max-clipped {params.max_clipped}"
        " --min-cosine {params.min_cosine} --max-overlap {params.max_overlap}"
        " --encoder {params.encoder:q} --overlap-model {params.overlap_model:q}"
        " --whisper {params.whisper:q} --language {params.language:q} --record-failure"
        " --output {output.audio:q} 2> {log:q}"
