#!/bin/sh
# One host's part of a training on several hosts. Run it on each of them, with the same arguments:
#
#   HOSTS=2 PROCESSES=4 FIRST=host1:29500 examples/several_hosts.sh infonce --data pairs.jsonl --out /shared/run
#
# HOSTS:      number of hosts
# PROCESSES:  processes on each host, one for each GPU (default: 1)
# FIRST:      name and a free port of one of the hosts, which all of them reach
# RUN:        name of this training, if several use the same port (default: nearfar)
set -eu
exec torchrun --nnodes "$HOSTS" --nproc-per-node "${PROCESSES:-1}" \
    --rdzv-backend c10d --rdzv-endpoint "$FIRST" --rdzv-id "${RUN:-nearfar}" \
    -m nearfar train "$@"
