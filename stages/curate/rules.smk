"""The target's speech cut into clips worth learning from."""


rule curate:
    input:
        vocals="<work>/{voice}/{source}/vocals.flac",
        segments="<work>/{voice}/{source}/segments.jsonl",
        words="<work>/{voice}/{source}/words.jsonl",
        reference="<results>/{voice}/reference/reference.wav",
        corrections=PLAN.corrections,
    output:
        clips=directory("<results>/{voice}/clips/{source}"),
        record="<results>/{voice}/clips/{source}.run.json",
    log:
        "<logs>/{voice}/{source}/curate.log",
    container:
        PLAN.image("curate")
    threads: 2
    resources:
        mem_mb=4000,
        disk_mb=2000,
        runtime="1h",
    params:
        options=PLAN.options("curate"),
        how=PLAN.how("curate"),
        corrections=PLAN.correcting,
    shell:
        "vc-curate {input.vocals:q} {input.segments:q} {input.words:q}"
        " --reference {input.reference:q} --voice {wildcards.voice:q}"
        " --source {wildcards.source:q} {params.corrections:q} {params.options:q} {params.how:q}"
        " --record-failure --output {output.clips:q} 2> {log:q}"
