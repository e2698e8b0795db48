"""The demo sentences in the finished voice."""


rule synthesize:
    input:
        adapter="<results>/{voice}/adapter",
        reference="<results>/{voice}/reference/reference.wav",
    output:
        speech=directory("<results>/{voice}/speech"),
        record="<results>/{voice}/speech.run.json",
    log:
        "<logs>/{voice}/synthesize.log",
    benchmark:
        "<benchmarks>/{voice}/synthesize.tsv"
    container:
        PLAN.image("synthesize")
    threads: 4
    resources:
        gpu=1,
        mem_mb=8000,
        disk_mb=1000,
        runtime="1h",
    params:
        texts=PLAN.texts,
        options=PLAN.options("synthesize"),
        how=PLAN.how("synthesize"),
    shell:
        "vc-synthesize {params.texts:q} --adapter {input.adapter:q}"
        " --context-audio {input.reference:q} {params.options:q} {params.how:q}"
        " --output {output.speech:q} 2> {log:q}"
