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
        base_model=lookup(within=config, dpath="train/base_model"),
        whisper=PLAN.evaluation_whisper,
        encoder=lookup(within=config, dpath="segment/encoder"),
        max_texts=lookup(within=config, dpath="evaluate/max_texts"),
        temperature=lookup(within=config, dpath="synthesize/temperature"),
        top_k=lookup(within=config, dpath="synthesize/top_k"),
        seed=lookup(within=config, dpath="synthesize/seed"),
        device=lookup(within=config, dpath="evaluate/device"),
    shell:
        "vc-evaluate {input.dataset:q} --reference {input.reference:q}"
        " --base-model {params.base_model:q} --adapter {input.adapter:q}"
        " --vocals {input.vocals:q} --segments {input.segments:q}"
        " --whisper {params.whisper:q} --encoder {params.encoder:q}"
        " --max-texts {params.max_texts} --temperature {params.temperature}"
        " --top-k {params.top_k} --seed {params.seed} --device {params.device}"
        " --speech-dir {output.speech:q} --output {output.scores:q} 2> {log:q}"
