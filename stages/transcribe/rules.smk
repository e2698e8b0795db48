"""The target's words with times and confidence."""


rule transcribe:
    input:
        vocals="<work>/{voice}/{source}/vocals.flac",
        segments="<work>/{voice}/{source}/segments.jsonl",
    output:
        words="<work>/{voice}/{source}/words.jsonl",
        record="<work>/{voice}/{source}/words.jsonl.run.json",
    log:
        "<logs>/{voice}/{source}/transcribe.log",
    benchmark:
        "<benchmarks>/{voice}/{source}/transcribe.tsv"
    container:
        PLAN.image("transcribe")
    threads: 4
    resources:
        gpu=1,
        mem_mb=6000,
        disk_mb=1000,
        runtime="2h",
    params:
        options=PLAN.options("transcribe"),
        how=PLAN.how("transcribe"),
    shell:
        "vc-transcribe {input.vocals:q} {input.segments:q} --threads {threads}"
        " {params.options:q} {params.how:q} --record-failure --output {output.words:q} 2> {log:q}"
