"""The catalog's second engine: pysyncobj 0.3.17 behind the calls of `raft.core`, with its losses mended."""
