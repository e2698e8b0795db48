"""The clips of all sources of a voice as one Hugging Face dataset."""


rule dataset:
    input:
        clips=PLAN.clips,
    output:
        dataset=directory("<results>/{voice}/dataset"),
        record="<results>/{voice}/dataset.run.json",
    log:
        "<logs>/{voice}/dataset.log",
    container:
        PLAN.image("dataset")
    threads: 1
    resources:
        mem_mb=4000,
        disk_mb=4000,
        runtime="30m",
    params:
        options=PLAN.options("dataset"),
        how=PLAN.how("dataset"),
    shell:
        "vc-dataset {input.clips:q} --voice {wildcards.voice:q} {params.options:q} {params.how:q}"
        " --output {output.dataset:q} 2> {log:q}"
