"""NVIDIA cards: CUDA, TensorRT, and how several cards and the processors share the work."""
