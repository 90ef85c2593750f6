#!/usr/bin/env bash
# Brings what the GPU path needs to a machine without a network that has Python 3.12, CUDA 13 and cuDNN 9, as pieces of one size.
#
#     benchmarks/gpu/bring_wheels.sh FOLDER [MIB]     downloads the wheels (about 500 MiB) and cuts them into FOLDER/part-00, part-01 …
#
# There, with all pieces in one folder:
#
#     cat part-* | tar -x && python3 -m pip install --no-index --no-deps --target site *.whl && export PYTHONPATH=$PWD/site
#     export LD_LIBRARY_PATH=$(python3 -c 'import glob, nvidia; print(":".join(d for p in nvidia.__path__ for d in glob.glob(p + "/*/lib")))')
#
# TensorRT cannot be brought so: what PyPI has of it (tensorrt-cu13-libs 10.16.1, on 2026-11-20) fetches the libraries from NVIDIA's own
# index while it is installed. benchmarks/gpu/run.py leaves it out where it is missing, and says so.
set -euo pipefail

folder=$1 size=${2:-40}
platforms=()
for name in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do platforms+=(--platform "${name}_x86_64"); done
mkdir -p "$folder/wheels"
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp "${platforms[@]}" \
    --dest "$folder/wheels" onnxruntime-gpu nvidia-dali-cuda130==2.4.0 "nvidia-nvimgcodec-cu13==0.9.*" nvidia-nvjpeg \
    nvidia-libnvcomp-cu13==5.3.0.16 nvtx optree makefun astunparse gast libcst simplejpeg pillow-heif rich
tar -c -C "$folder/wheels" . | split --bytes="${size}M" --numeric-suffixes - "$folder/part-"
ls -l "$folder/wheels" "$folder"
