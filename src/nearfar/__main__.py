"""`python -m nearfar`, and what torchrun starts: `torchrun --nproc-per-node 2 -m nearfar train ...`."""

from nearfar.cli import main

main()
