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
        gpu=1,
        mem_mb=16000,
        disk_mb=8000,
        runtime="8h",
    params:
        consent=lookup(within=config, dpath="voices/{voice}/consent"),
        base_model=lookup(within=config, dpath="train/base_model"),
        max_steps=lookup(within=config, dpath="train/max_steps"),
        batch_size=lookup(within=config, dpath="train/batch_size"),
        gradient_accumulation=lookup(within=config, dpath="train/gradient_accumulation"),
        learning_rate=lookup(within=config, dpath="train/learning_rate"),
        warmup_steps=lookup(within=config, dpath="train/warmup_steps"),
        lora_r=lookup(within=config, dpath="train/lora_r"),
        lora_alpha=lookup(within=config, dpath="train/lora_alpha"),
        lora_dropout=lookup(within=config, dpath="train/lora_dropout"),
        depth_fraction=lookup(within=config, dpath="train/depth_fraction"),
        eval_every=lookup(within=config, dpath="train/eval_every"),
        checkpoint_every=lookup(within=config, dpath="train/checkpoint_every"),
        seed=lookup(within=config, dpath="train/seed"),
        device=lookup(within=config, dpath="train/device"),
    shell:
        "vc-train {input.codes:q} --base-model {params.base_model:q}"
        " --voice {wildcards.voice:q} --consent {params.consent:q}"
        " --max-steps {params.max_steps} --batch-size {params.batch_size}"
        " --gradient-accumulation {params.gradient_accumulation}"
        " --learning-rate {params.learning_rate} --warmup-steps {params.warmup_steps}"
        " --lora-r {params.lora_r} --lora-alpha {params.lora_alpha}"
        " --lora-dropout {params.lora_dropout} --depth-fraction {params.depth_fraction}"
        " --eval-every {params.eval_every} --checkpoint-every {params.checkpoint_every}"
        " --seed {params.seed} --device {params.device}"
        " --output {output.adapter:q} 2> {log:q}"
