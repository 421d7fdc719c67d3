#!/bin/sh
# Runs a training command in the background of a shared machine: lowest priority, huge pages for large tensors (a fifth of the time of
# page faults otherwise), threads that sleep instead of spinning. Usage: run.sh --run NAME ... ; the log lies beside the run's name.
cd "$(dirname "$0")/.." || exit 1
home=${LONGSIGHT_TRAINING:-$HOME/.cache/longsight/training}
python=${PYTHON:-$home/venv/bin/python}
mkdir -p "$home/logs"
name=$(echo "$*" | sed -n 's/.*--run \([^ ]*\).*/\1/p')
OPENBLAS_NUM_THREADS=1 GLIBC_TUNABLES=glibc.malloc.hugetlb=1 OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0 \
  setsid nohup nice -n 19 "$python" -m training.train "$@" >>"$home/logs/$name.log" 2>&1 </dev/null &
echo "started; log: $home/logs/$name.log"
