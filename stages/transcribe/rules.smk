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
        model=lookup(within=config, dpath="transcribe/model"),
        device=lookup(within=config, dpath="transcribe/device"),
        batch_size=lookup(within=config, dpath="transcribe/batch_size"),
        captions=lookup(within=config, dpath="transcribe/captions"),
        max_disagreement=lookup(within=config, dpath="transcribe/max_disagreement"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
    shell:
        "vc-transcribe {input.vocals:q} {input.segments:q} --model {params.model:q}"
        " --device {params.device} --language {params.language:q} --threads {threads}"
        " --batch-size {params.batch_size} --captions {params.captions}"
        " --max-disagreement {params.max_disagreement}"
        " --record-failure --output {output.words:q} 2> {log:q}"
