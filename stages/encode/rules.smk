"""What the speaking model learns from, made once of every clip."""


rule encode:
    input:
        dataset="<results>/{voice}/dataset",
    output:
        prepared="<results>/{voice}/prepared.parquet",
        record="<results>/{voice}/prepared.parquet.run.json",
    log:
        "<logs>/{voice}/encode.log",
    benchmark:
        "<benchmarks>/{voice}/encode.tsv"
    container:
        PLAN.image("encode")
    threads: 4
    resources:
        gpu=1,
        mem_mb=8000,
        disk_mb=1000,
        runtime="1h",
    params:
        options=PLAN.options("encode"),
        how=PLAN.how("encode"),
    shell:
        "vc-encode {input.dataset:q} {params.options:q} {params.how:q}"
        " --output {output.prepared:q} 2> {log:q}"
