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
        options=PLAN.options("segment"),
        how=PLAN.how("segment"),
    shell:
        "vc-segment {input.vocals:q} --reference {input.reference:q}"
        " --recording {input.recording:q} {params.options:q} {params.how:q}"
        " --rttm {output.rttm:q} --record-failure --output {output.segments:q} 2> {log:q}"
