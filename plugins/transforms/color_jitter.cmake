# Colours are to be equal bit for bit on every machine: no multiplication fused with an addition.
target_compile_options(${plugin} PRIVATE -ffp-contract=off)
