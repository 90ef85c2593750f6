"""NVIDIA cards: CUDA, TensorRT (`tensorrt`), and how several cards and the processors share the work."""
