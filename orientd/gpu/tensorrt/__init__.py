"""TensorRT, by choice: another process builds its engine, which takes minutes, while ONNX Runtime's kernels go on judging.

That process can be ended at any time, finds the libraries that TensorRT loads late, and takes no lock of this one: ONNX Runtime
holds Python's GIL all the time it opens a model (microsoft/onnxruntime #27063), so a thread would stop all others. It builds into
a folder that gets its name only when it is complete. The name is made of the model, ONNX Runtime, TensorRT, the GPU, the
precision and the shapes, so nothing stale is ever loaded. The next start deletes what a killed process left half built, and all
but the folders used last.

Once an engine is built, and from the start of every later run, TensorRT makes the predictions; each batch is seen by only one of
the two. If TensorRT cannot build the model, a notice says so once and ONNX Runtime goes on; if TensorRT itself is missing, that
is an error, as for anything that was asked for and is not there.
"""
