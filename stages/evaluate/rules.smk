"""Scores of base and clone beside the speaker's own ceiling and an impostor's floor."""


rule evaluate:
    input:
        dataset="<results>/{voice}/dataset",
        adapter="<results>/{voice}/adapter",
        reference="<results>/{voice}/reference/reference.wav",
        vocals=PLAN.vocals,
        segments=PLAN.segments,
    output:
        scores="<results>/{voice}/scores.json",
        speech=directory("<results>/{voice}/evaluation"),
        record="<results>/{voice}/scores.json.run.json",
    log:
        "<logs>/{voice}/evaluate.log",
    benchmark:
        "<benchmarks>/{voice}/evaluate.tsv"
    container:
        PLAN.image("evaluate")
    threads: 4
    resources:
        gpu=1,
        mem_mb=10000,
        disk_mb=1000,
        runtime="1h",
    params:
        options=PLAN.options("evaluate"),
        how=PLAN.how("evaluate"),
    shell:
        "vc-evaluate {input.dataset:q} --reference {input.reference:q}"
        " --adapter {input.adapter:q} --vocals {input.vocals:q} --segments {input.segments:q}"
        " {params.options:q} {params.how:q} --speech-dir {output.speech:q}"
        " --output {output.scores:q} 2> {log:q}"
