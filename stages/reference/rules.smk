"""The slice in which the target speaks alone."""


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
        start=lookup(within=config, dpath="voices/{voice}/reference/start"),
        end=lookup(within=config, dpath="voices/{voice}/reference/end"),
        name=PLAN.reference_name,
        encoder=lookup(within=config, dpath="segment/encoder"),
        whisper=lookup(within=config, dpath="transcribe/model"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
    shell:
        "vc-reference {input.audio:q} --start {params.start} --end {params.end}"
        " --name {params.name:q} --encoder {params.encoder:q} --whisper {params.whisper:q}"
        " --language {params.language:q} --record-failure"
        " --output {output.audio:q} 2> {log:q}"
