"""Who speaks when, and who of them is the target."""


rule segment:
    input:
        vocals="<work>/{voice}/{source}/vocals.flac",
        recording="<work>/{voice}/{source}/source.wav",
        reference="<results>/{voice}/reference/reference.wav",
    output:
        segments="<work>/{voice}/{source}/segments.jsonl",
        rttm="<work>/{voice}/{source}/segments.rttm",
        record="<work>/{voice}/{source}/segments.jsonl.run.json",
    log:
        "<logs>/{voice}/{source}/segment.log",
    benchmark:
        "<benchmarks>/{voice}/{source}/segment.tsv"
    container:
        PLAN.image("segment")
    threads: 2
    resources:
        mem_mb=4000,
        disk_mb=1000,
        runtime="1h",
    params:
        vad=lookup(within=config, dpath="segment/vad"),
        encoder=lookup(within=config, dpath="segment/encoder"),
        overlap_model=lookup(within=config, dpath="segment/overlap_model"),
        min_similarity=lookup(within=config, dpath="segment/min_similarity"),
        min_margin=lookup(within=config, dpath="segment/min_margin"),
    shell:
        "vc-segment {input.vocals:q} --reference {input.reference:q}"
        " --recording {input.recording:q} --vad {params.vad:q} --encoder {params.encoder:q}"
        " --overlap-model {params.overlap_model:q} --min-similarity {params.min_similarity}"
        " --min-margin {params.min_margin} --rttm {output.rttm:q} --record-failure"
        " --output {output.segments:q} 2> {log:q}"
