"""A recording to its voices alone."""


rule separate:
    input:
        audio="<work>/{voice}/{source}/source.wav",
    output:
        vocals="<work>/{voice}/{source}/vocals.flac",
        record="<work>/{voice}/{source}/vocals.flac.run.json",
    log:
        "<logs>/{voice}/{source}/separate.log",
    benchmark:
        "<benchmarks>/{voice}/{source}/separate.tsv"
    container:
        PLAN.image("separate")
    threads: 4
    resources:
        gpu=1,
        mem_mb=8000,
        disk_mb=4000,
        runtime="2h",
    params:
        options=PLAN.options("separate"),
        how=PLAN.how("separate"),
    shell:
        "vc-separate {input.audio:q} {params.options:q} {params.how:q}"
        " --record-failure --output {output.vocals:q} 2> {log:q}"
