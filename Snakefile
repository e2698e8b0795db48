"""From recordings to a measured clone: the stages, connected by their files."""

from pathlib import Path

from snakemake.utils import min_version

from voice_pipeline.workflow import WILDCARD, plan

min_version("9.27")


# Snakemake would merge a --configfile into this one, and run the shipped example's voice with it.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


# Checked, completed with every default, and the environment laid over it.
PLAN = plan(
    config,
    Path(workflow.basedir),
    workflow.config_settings.config,
    workflow.storage_settings.default_storage_provider,
    not workflow.is_main_process,
)


pathvars:
    work=str(PLAN.work),
    results=str(PLAN.results),
    logs=PLAN.logs,
    benchmarks=PLAN.benchmarks,


wildcard_constraints:
    voice=WILDCARD,
    source=WILDCARD,


# A stage is a folder: what lies there is part of the workflow.
for rules in sorted(Path(workflow.basedir).glob("stages/*/rules.smk")):

    include: rules


localrules:
    all,


rule all:
    default_target: True
    input:
        "<results>/report.html",


onstart:
    PLAN.start()


onsuccess:
    PLAN.finish(good=True)


onerror:
    PLAN.finish(good=False)
