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
lock dev --extra cpu --extra pdf --extra eval --group dev --constraints requirements/cpu.lock
lock lab --extra cpu --extra lab --constraints requirements/dev.lock --no-emit-package torch
cat requirements/torch-cpu.txt >>requirements/lab.lock

# What an extra adds to the lock of any variant.
everywhere=$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' requirements/cpu.lock)
for extra in pdf eval; do
    # shellcheck disable=SC2086 # words on purpose
    lock "$extra" --extra "$extra" --constraints requirements/dev.lock $everywhere
    sed -i.old '/^$/,$d' "requirements/$extra.lock" # what follows lists the packages left out
    rm "requirements/$extra.lock.old"
done
