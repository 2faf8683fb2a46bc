#!/usr/bin/env bash
# clang_tidy.sh OPTION... FILE: clang-tidy over one C source, with the compiler's options; says nothing when nothing is found.
set -euo pipefail
output=$(clang-tidy --quiet "${!#}" -- "${@:1:$#-1}" 2>&1) || {
    printf '%s\n' "$output"
    exit 1
}
