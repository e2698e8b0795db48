"""What this project costs on a GPU, in sections that ``benchmarks/gpu/run`` measures one by one."""
