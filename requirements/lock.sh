#!/bin/sh
# Writes requirements/*.lock from pyproject.toml: one complete, hashed lock per variant, no index address in
# any. Pins that still fit are kept; UPGRADE=1 takes the newest versions. Called by `make lock`.
set -eu

cd "$(dirname "$0")/.."
: "${UV:=uv}"
export UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true # the interpreter and certificates that pip uses too

lock() { # name of the lock, then what it holds besides the service itself
    name=$1
    shift
    echo "locking requirements/$name.lock"
    "$UV" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --annotation-style line \
        --group build ${UPGRADE:+--upgrade} --output-file "requirements/$name.lock" "$@"
}

lock cpu --extra cpu # the others take its versions, so that they agree on all they share
lock gpu --extra gpu --constraints requirements/cpu.lock
lock openvino --extra openvino --constraints requirements/cpu.lock
lock dev --extra cpu --group dev --constraints requirements/cpu.lock
lock lab --extra cpu --extra lab --constraints requirements/dev.lock --no-emit-package torch
cat requirements/torch-cpu.txt >>requirements/lab.lock
