"""LoRA fine-tuning of CSM on a voice's codes."""


rule train:
    input:
        codes="<results>/{voice}/codes.parquet",
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
        gpu=lookup(within=config, dpath="train/processes"),
        mem_mb=16000,
        disk_mb=8000,
        runtime="8h",
    params:
        consent=lookup(within=config, dpath="voices/{voice}/consent"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
        base_model=lookup(within=config, dpath="train/base_model"),
        encoder=lookup(within=config, dpath="segment/encoder"),
        max_steps=lookup(within=config, dpath="train/max_steps"),
        epochs=lookup(within=config, dpath="train/epochs"),
        batch_size=lookup(within=config, dpath="train/batch_size"),
        gradient_accumulation=lookup(within=config, dpath="train/gradient_accumulation"),
        learning_rate=lookup(within=config, dpath="train/learning_rate"),
        schedule=lookup(within=config, dpath="train/schedule"),
        warmup_steps=lookup(within=config, dpath="train/warmup_steps"),
        lora_r=lookup(within=config, dpath="train/lora_r"),
        lora_alpha=lookup(within=config, dpath="train/lora_alpha"),
        lora_dropout=lookup(within=config, dpath="train/lora_dropout"),
        targets=lookup(within=config, dpath="train/targets"),
        depth_fraction=lookup(within=config, dpath="train/depth_fraction"),
        eval_every=lookup(within=config, dpath="train/eval_every"),
        samples=lookup(within=config, dpath="train/samples"),
        sample_every=lookup(within=config, dpath="train/sample_every"),
        whisper=lookup(within=config, dpath="train/whisper"),
        patience=lookup(within=config, dpath="train/patience"),
        checkpoint_every=lookup(within=config, dpath="train/checkpoint_every"),
        seed=lookup(within=config, dpath="train/seed"),
        device=lookup(within=config, dpath="train/device"),
        backend=lookup(within=config, dpath="train/backend"),
        preset=lookup(within=config, dpath="train/preset"),
        precision=lookup(within=config, dpath="train/precision"),
        quantize=lookup(within=config, dpath="train/quantize"),
        processes=lookup(within=config, dpath="train/processes"),
    shell:
        "vc-train {input.codes:q} --base-model {params.base_model:q}"
        " --voice {wildcards.voice:q} --consent {params.consent:q}"
        " --language {params.language} --encoder {params.encoder:q}"
        " --max-steps {params.max_steps} --epochs {params.epochs}"
        " --batch-size {params.batch_size}"
        " --gradient-accumulation {params.gradient_accumulation}"
        " --learning-rate {params.learning_rate} --schedule {params.schedule}"
        " --warmup-steps {params.warmup_steps} --lora-r {params.lora_r}"
        " --lora-alpha {params.lora_alpha} --lora-dropout {params.lora_dropout}"
        " --targets={params.targets:q} --depth-fraction {params.depth_fraction}"
        " --eval-every {params.eval_every} --samples {params.samples}"
        " --sample-every {params.sample_every} --whisper {params.whisper:q}"
        " --patience {params.patience} --checkpoint-every {params.checkpoint_every}"
        " --seed {params.seed} --device {params.device} --backend {params.backend}"
        " --preset {params.preset} --precision {params.precision}"
        " --quantize {params.quantize} --processes {params.processes}"
        " --output {output.adapter:q} 2> {log:q}"
