"""Fine-tuning of the speaking model on a voice."""


rule train:
    input:
        prepared="<results>/{voice}/prepared.parquet",
    output:
        # The checkpoints beside it stay undeclared: Snakemake would delete them before a rerun,
        # and a stopped training resumes from them.
        adapter=directory("<results>/{voice}/adapter"),
        record="<results>/{voice}/adapter.run.json",
    log:
        "<logs>/{voice}/train.log",
    benchmark:
        "<benchmarks>/{voice}/train.tsv"
    container:
        PLAN.image("train")
    threads: 8
    resources:
        gpu=PLAN.value("train.processes"),
        mem_mb=16000,
        disk_mb=8000,
        runtime="8h",
    params:
        options=PLAN.options("train"),
        how=PLAN.how("train"),
    shell:
        "vc-train {input.prepared:q} --voice {wildcards.voice:q}"
        " {params.options:q} {params.how:q} --output {output.adapter:q} 2> {log:q}"
