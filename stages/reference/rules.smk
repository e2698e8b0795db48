"""The slices in which the target speaks alone."""


rule reference:
    input:
        audio=PLAN.reference_audio,
    output:
        audio="<results>/{voice}/reference/reference.wav",
        checks="<results>/{voice}/reference/reference.json",
        record="<results>/{voice}/reference/reference.wav.run.json",
    log:
        "<logs>/{voice}/reference.log",
    container:
        PLAN.image("reference")
    threads: 2
    resources:
        mem_mb=2000,
        disk_mb=1000,
        runtime="20m",
    params:
        slices=PLAN.reference_options,
        options=PLAN.options("reference"),
        how=PLAN.how("reference"),
    shell:
        "vc-reference {input.audio:q} {params.slices:q} {params.options:q} {params.how:q}"
        " --record-failure --output {output.audio:q} 2> {log:q}"
