"""How fast and how large our work is beside llama.cpp's own programs: `make bench`.

    python -m tests.bench [BENCH ...] [--models smollm2,large] [--repeats 3] [--chunks 16] [--output bench.json]

One file a bench, `registry` names them, `frame` has what they give back, `programs` and `worker` start what is
measured. Both sides do the same work in processes of their own, in turn (ours, theirs, theirs, ours, ...), so that a
machine that grows warm or busy hits both; what is compared are medians.

What is equal on both sides: model file, text, context, chunks, threads, importance matrix; weights not repacked
(`--no-repack`; our loader always does so, because some virtual machines announce AMX and then fault on it). What may
differ: how the two llama.cpp were compiled, and flash attention, which each side uses as it does by itself. Both say
their CPU features, and the report shows them side by side. Ours comes out of the package llama-cpp-python, theirs are
to be of the same version. The page cache is warm on both sides: the first repeat's files were just written. On a
machine that does other work, too, OpenMP's threads spin while they wait for each other and numbers mean nothing: the
load at the start and at the end stands in the report.
"""
