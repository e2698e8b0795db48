"""The codec's codes of every clip, once."""


rule encode:
    input:
        dataset="<results>/{voice}/dataset",
    output:
        codes="<results>/{voice}/codes.parquet",
        record="<results>/{voice}/codes.parquet.run.json",
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
        base_model=lookup(within=config, dpath="train/base_model"),
        device=lookup(within=config, dpath="train/device"),
    shell:
        "vc-encode {input.dataset:q} --base-model {params.base_model:q}"
        " --device {params.device} --output {output.codes:q} 2> {log:q}"
