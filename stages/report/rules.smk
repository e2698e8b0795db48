"""One page that shows, plays and measures everything."""


rule report:
    input:
        PLAN.results_of_all,
    output:
        report="<results>/report.html",
        record="<results>/report.html.run.json",
    log:
        "<logs>/report.log",
    container:
        PLAN.image("report")
    threads: 1
    resources:
        mem_mb=2000,
        disk_mb=1000,
        runtime="20m",
    params:
        results=PLAN.results_folder,
        work=PLAN.work_folder,
        failures=PLAN.failures_file,
        stages=PLAN.stages_file,
        options=PLAN.options("report"),
        how=PLAN.how("report"),
    shell:
        "vc-report {params.results:q} --work {params.work:q} --failures {params.failures:q}"
        " --stages {params.stages:q} {params.options:q} {params.how:q}"
        " --output {output.report:q} 2> {log:q}"
