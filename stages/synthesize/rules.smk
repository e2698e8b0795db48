"""The demo sentences in the finished voice."""


rule synthesize:
    input:
        adapter="<results>/{voice}/adapter",
        reference="<results>/{voice}/reference/reference.wav",
    output:
        speech=directory("<results>/{voice}/speech"),
        record="<results>/{voice}/speech.run.json",
    log:
        "<logs>/{voice}/synthesize.log",
    benchmark:
        "<benchmarks>/{voice}/synthesize.tsv"
    container:
        PLAN.image("synthesize")
    threads: 4
    resources:
        gpu=1,
        mem_mb=8000,
        disk_mb=1000,
        runtime="1h",
    params:
        texts=lookup(within=config, dpath="voices/{voice}/demo_text"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
        context=PLAN.context,
        tts=lookup(within=config, dpath="synthesize/tts"),
        base_model=lookup(within=config, dpath="train/base_model"),
        temperature=lookup(within=config, dpath="synthesize/temperature"),
        top_k=lookup(within=config, dpath="synthesize/top_k"),
        batch_size=lookup(within=config, dpath="synthesize/batch_size"),
        seed=lookup(within=config, dpath="synthesize/seed"),
        device=lookup(within=config, dpath="synthesize/device"),
    shell:
        "vc-synthesize {params.texts:q} --language {params.language:q} --tts {params.tts:q}"
        " --base-model {params.base_model:q} --adapter {input.adapter:q} {params.context:q}"
        " --temperature {params.temperature} --top-k {params.top_k} --seed {params.seed}"
        " --batch-size {params.batch_size} --device {params.device} --output {output.speech:q} 2> {log:q}"
