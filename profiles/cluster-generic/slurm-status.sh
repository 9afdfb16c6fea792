#!/bin/sh
# Print what has become of a job of Slurm, as Snakemake's generic executor wants it.

if ! state=$(squeue --noheader --states=all --format=%T --jobs="$1" 2>&1); then
    case $state in
    *"Invalid job id"*) state=FORGOTTEN ;;
    *) state=RUNNING ;; # Slurm does not answer: ask again later
    esac
fi
case $state in
COMPLETED) echo success ;;
PENDING | CONFIGURING | RUNNING | SUSPENDED | STOPPED | COMPLETING) echo running ;;
REQUEUED | REQUEUE_HOLD | RESV_DEL_HOLD | SIGNALING | STAGE_OUT) echo running ;;
*) echo failed ;; # CANCELLED, TIMEOUT, OUT_OF_MEMORY and the like
esac
