"""Speed and memory of our workers compared with llama.cpp's own programs: `make bench`.

    python -m tests.bench [BENCH ...] [--models smollm2,large] [--repeats 3] [--chunks 16] [--output bench.json]

Each bench is one file, and `registry` lists them. `frame` defines their results; `programs` and `worker` start the
processes that are measured. Both sides do the same work in separate processes and alternate (ours, theirs, theirs,
ours, ...), so that a machine that gets warm or busy affects both. Medians are compared.

Equal on both sides are model file, text, context, chunks, threads and importance matrix. Neither side repacks weights
(`--no-repack`; our loader never does, because some virtual machines announce AMX and then fault on it). Two things may
differ: the build options of the two llama.cpp, and flash attention, which each side uses as by default. The report
shows the CPU features of both builds. Ours comes from the package llama-cpp-python; theirs should be of the same
version. The page cache is warm on both sides, because the files of the first repeat were just written. If the machine
does other work, OpenMP's threads spin while they wait for each other and the numbers mean nothing, so the report shows
the load at the start and at the end.
"""
