"""A URL or file to a WAV with its provenance."""


rule download:
    input:
        PLAN.local_file,
    output:
        audio="<work>/{voice}/{source}/source.wav",
        provenance="<work>/{voice}/{source}/source.json",
        record="<work>/{voice}/{source}/source.wav.run.json",
    log:
        "<logs>/{voice}/{source}/download.log",
    container:
        PLAN.image("download")
    threads: 1
    resources:
        mem_mb=1000,
        disk_mb=4000,
        runtime="2h",
    params:
        url=PLAN.url,
        licence=PLAN.licence,
        rate=lookup(within=config, dpath="download/sample_rate"),
        channels=lookup(within=config, dpath="download/channels"),
        language=lookup(within=config, dpath="voices/{voice}/language"),
    shell:
        "vc-download {params.url:q} --id {wildcards.source:q} --licence={params.licence:q}"
        " --rate {params.rate} --channels {params.channels}"
        " --language {params.language:q} --record-failure"
        " --output {output.audio:q} 2> {log:q}"
