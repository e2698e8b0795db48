"""A URL or file to a WAV with its provenance."""


rule download:
    input:
        PLAN.local_file,
    output:
        audio=ensure("<work>/{voice}/{source}/source.wav", non_empty=True),
        provenance="<work>/{voice}/{source}/source.json",
        record="<work>/{voice}/{source}/source.wav.run.json",
    log:
        "<logs>/{voice}/{source}/download.log",
    # What another try cannot mend ends at once there, without asking the site again.
    retries: PLAN.retries
    container:
        PLAN.image("download")
    threads: 1
    resources:
        downloads=1,
        attempt=PLAN.attempt,
        mem_mb=1000,
        disk_mb=4000,
        runtime="2h",
    params:
        url=PLAN.url,
        section=PLAN.section,
        options=PLAN.options("download"),
        how=PLAN.how("download"),
    # How to get at the recording is in the environment, as DOWNLOAD_...: see voice_pipeline.access.
    shell:
        "vc-download {params.url:q} --id {wildcards.source:q} {params.section:q}"
        " {params.options:q} {params.how:q} --attempt {resources.attempt} --record-failure"
        " --output {output.audio:q} 2> {log:q}"
