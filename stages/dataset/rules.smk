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
        consent=lookup(within=config, dpath="voices/{voice}/consent"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
        validation=lookup(within=config, dpath="dataset/validation"),
        test=lookup(within=config, dpath="dataset/test"),
        duplicates=branch(
            lookup(within=config, dpath="dataset/duplicates"),
            then="--duplicates",
            otherwise="--no-duplicates",
        ),
        rate_outliers=lookup(within=config, dpath="dataset/rate_outliers"),
    shell:
        "vc-dataset {input.clips:q} --voice {wildcards.voice:q} --consent {params.consent:q}"
        " --language {params.language:q} --validation {params.validation} --test {params.test}"
        " {params.duplicates} --rate-outliers {params.rate_outliers}"
        " --output {output.dataset:q} 2> {log:q}"
